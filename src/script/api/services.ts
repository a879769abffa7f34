import type { ContactView } from '../../core/verdict.ts'
import type { LogLine } from '../../spine/facts.ts'
import type { MetricsWriter } from '../../metrics/writer.ts'
import { ScriptError } from './script-error.ts'

/** What the thread provides to the API. Set by the worker before it imports the script. */
export interface Services {
  readonly log: (line: LogLine) => void
  /** Contacts of the address-of-record in `uri` (binary text). */
  readonly lookup: (uri: string) => Promise<readonly ContactView[]>
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
