import type { LocationView, Outcome } from '../core/verdict.ts'
import type { ScriptFailureReason } from '../spine/facts.ts'
import { LABELS } from './blame.ts'
import type { Batch, HandlerInfo, Services } from './conversation.ts'
import { BatchReader, ToHost } from './conversation.ts'
import { readDecision } from './message-codec.ts'
import type { RunEndings } from './run-endings.ts'
import { type Asker, serve } from './serve.ts'
import type { WorkerLink } from './worker-link.ts'

/** What workers post, item by item: verdicts and failures end their runs, questions are answered. */
export class WorkerReports {
  readonly #location: LocationView
  readonly #services: Services
  readonly #endings: RunEndings
  readonly #flushSoon: () => void
  /** Whom answers to what was only told go to. */
  readonly #nobody: Asker = {
    result: () => undefined,
    refused: (_, what) => this.#endings.fail('outside', 'exception', what, null, null),
  }

  /** @param flushSoon posts what links have gathered, before the loop goes on: for answers that come later */
  constructor(location: LocationView, services: Services, endings: RunEndings, flushSoon: () => void) {
    this.#location = location
    this.#services = services
    this.#endings = endings
    this.#flushSoon = flushSoon
  }

  /** Does what a worker's message asks. Answers that are there at once wait in its link to be posted. */
  read(link: WorkerLink, batch: Batch): void {
    const reader = new BatchReader(batch)
    while (!reader.done) this.#perform(link, reader)
  }

  #perform(link: WorkerLink, reader: BatchReader): void {
    const what = reader.number()
    if (what === ToHost.done) {
      const id = reader.number()
      const handler = link.manifest.handlers[reader.number()] ?? null
      const tookMs = reader.number()
      const decision = readDecision(reader)
      this.#answered(link, id, { ok: true, decision }, tookMs, handler, null)
    } else if (what === ToHost.failed) {
      const id = reader.number()
      const handler = link.manifest.handlers[reader.number()] ?? null
      const tookMs = reader.number()
      const reason = reader.string() as ScriptFailureReason
      const what = reader.string()
      this.#answered(link, id, { ok: false, reason, what }, tookMs, handler, reader.text())
    } else if (what === ToHost.parked) {
      const run = link.runs.get(reader.number())
      if (run === undefined || run.parked) return
      run.parked = true
      link.parked++
    } else if (what === ToHost.ask) {
      link.answer(reader.number(), this.#location.lookup(reader.string()))
    } else if (what === ToHost.call) {
      const question = { id: reader.number(), service: reader.string(), args: reader.slice(reader.number()) }
      serve(this.#services, question, link, this.#flushSoon)
    } else if (what === ToHost.tell) {
      const told = { id: 0, service: reader.string(), args: reader.slice(reader.number()) }
      serve(this.#services, told, this.#nobody, () => undefined)
    } else if (what === ToHost.stray) {
      this.#endings.fail('outside', 'exception', reader.string(), reader.text(), null)
    } else throw new Error(`a worker sent an unknown item: ${what}`)
  }

  #answered(
    link: WorkerLink,
    id: number,
    outcome: Outcome,
    tookMs: number,
    handler: HandlerInfo | null,
    where: string | null,
  ) {
    const given = link.abandoned.get(id)
    if (given !== undefined) {
      link.free(given)
      return
    }
    const run = link.runs.get(id)
    // Taken back and given to another worker meanwhile.
    if (run === undefined) return
    link.free(run)
    if (!outcome.ok) {
      this.#endings.fail(
        handler?.name ?? LABELS[run.kind],
        outcome.reason,
        outcome.what,
        where ?? handler?.where ?? null,
        run,
      )
    }
    this.#endings.settle(run, outcome, handler, tookMs)
  }
}
