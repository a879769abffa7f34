import type { Job, Outcome } from '../core/verdict.ts'
import type { RunKind } from './conversation.ts'

/** One run of handlers on its way through the host: waiting, offered to a worker, started, over. */
export interface Run {
  readonly kind: RunKind
  /** Null for a timer. */
  readonly job: Job | null
  /** Index of a timer's handler in the manifest of `generation`; -1 for jobs. */
  readonly timer: number
  readonly generation: number
  readonly callId: string | null
  readonly share: 'initial' | 'in-dialog'
  /** Its request came over a stream. */
  readonly stream: boolean
  readonly done: (outcome: Outcome) => void
  /** Monotonic ms when it was handed in. */
  readonly since: number
  /** Monotonic ms when it was last offered to a worker. */
  offeredAt: number
  /** Monotonic ms: later than this, a started run is over. */
  deadline: number
  /** Its name at the worker that has it; a run that is offered again gets another. 0 while it waits. */
  id: number
  slot: number
  /** Its handler awaits something: the worker is free for others. */
  parked: boolean
}
