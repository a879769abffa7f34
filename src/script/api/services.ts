import type { ContactView } from '../../core/verdict.ts'
import type { LogLine } from '../../spine/facts.ts'
import type { MetricsWriter } from '../../metrics/writer.ts'
import type { BatchReader, HandlerSettings, Item } from '../conversation.ts'
import { ScriptError } from './script-error.ts'

/** What the thread provides to the API. Set by the worker before it imports the script. */
export interface Services {
  readonly log: (line: LogLine) => void
  /** Contacts of the address-of-record in `uri` (binary text). */
  readonly lookup: (uri: string) => Promise<readonly ContactView[]>
  /**
   * Asks a service of the engine thread (`Service`); texts are binary text. Rejects with a ScriptError when it refuses.
   * A handler that waits for it is held by its time limit, so no service need have one for the script's sake.
   */
  readonly call: (service: string, ...args: Item[]) => Promise<BatchReader>
  /** As `call`, for what needs no answer: nobody waits, and a refusal is a fault of ours. */
  readonly tell: (service: string, ...args: Item[]) => void
  readonly settings: HandlerSettings
  /** Of the script that this thread runs; counts up with every reload. */
  readonly generation: number
  readonly metrics: MetricsWriter
}

let connected: Services | null = null

export function connect(services: Services): void {
  connected = services
}

/** @throws ScriptError when the script was started by hand, not by SIPhon */
export function services(): Services {
  if (connected === null) {
    throw new ScriptError("'siphon' works in a script that SIPhon runs: siphon run -c siphon.yaml")
  }
  return connected
}
