import type { Clock } from '../base/clock.ts'
import { TextMap } from '../base/text-map.ts'
import type { Request, Response } from '../sip/message/message.ts'
import { LingerQueue } from '../stack/linger.ts'

/** 64 × T1: by then the callee has stopped repeating its 2xx, and the caller its ACK (RFC 6026 §7.1). */
const LIFE_MS = 32_000

/**
 * INVITEs whose 2xx passed without a Route of ours for what follows. A caller that sends everything to its outbound proxy sends
 * the ACK here all the same. By caller and call, not by dialog: the 2xx of other forks are acknowledged like the first.
 */
export class PassedAnswers {
  readonly #clock: Clock
  /** Until when, monotonic milliseconds. */
  readonly #passed = new TextMap<number>()
  readonly #waiting: LingerQueue<string>

  constructor(clock: Clock) {
    this.#clock = clock
    this.#waiting = new LingerQueue(clock, LIFE_MS, (key) => {
      // A re-INVITE of the same side may have made it live longer.
      if ((this.#passed.get(key) ?? 0) <= clock.now()) this.#passed.delete(key)
      return true
    })
  }

  get size(): number {
    return this.#passed.size
  }

  add(answer: Response): void {
    const key = keyOf(answer)
    this.#passed.set(key, this.#clock.now() + LIFE_MS)
    this.#waiting.add(key)
  }

  /** The ACK may be for one of them. */
  has(ack: Request): boolean {
    return this.#passed.size > 0 && this.#passed.has(keyOf(ack))
  }

  /** Leaves no timer. */
  clear(): void {
    this.#waiting.clear()
    this.#passed.clear()
  }
}

function keyOf({ callId, fromTag }: Request | Response): string {
  return `${callId}\n${fromTag ?? ''}`
}
