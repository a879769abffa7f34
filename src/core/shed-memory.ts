import type { Path } from '../base/address.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Request } from '../sip/message/message.ts'

/** 64 × T1: by then the peer has stopped repeating the INVITE (timer B). */
const LIFE_MS = 32_000

interface Shed {
  readonly invite: Request
  readonly path: Path
  readonly expiresAt: number
}

/**
 * INVITEs dropped over UDP, whose peers repeat them: one attempt each, that either is admitted in the end
 * or makes one record when it has expired. Bounded: past `capacity` the oldest is given up early.
 */
export class ShedMemory {
  readonly #clock: Clock
  readonly #capacity: number
  readonly #giveUp: (invite: Request, path: Path) => void
  readonly #shed = new Map<string, Shed>()
  #timer: Timer | null = null

  /** @param giveUp told of each attempt that was never admitted */
  constructor(clock: Clock, giveUp: (invite: Request, path: Path) => void, capacity = 20_000) {
    this.#clock = clock
    this.#giveUp = giveUp
    this.#capacity = capacity
  }

  get size(): number {
    return this.#shed.size
  }

  /** An INVITE was dropped, for the first time or again. */
  remember(invite: Request, path: Path): void {
    const key = keyOf(invite)
    if (this.#shed.has(key)) return
    if (this.#shed.size >= this.#capacity) this.#dropOldest()
    this.#shed.set(key, { invite, path, expiresAt: this.#clock.now() + LIFE_MS })
    if (this.#timer === null) this.#startTimer(LIFE_MS)
  }

  /** An INVITE was admitted: if it had been dropped before, it is the same attempt. */
  admitted(invite: Request): void {
    if (this.#shed.size === 0 || !this.#shed.delete(keyOf(invite)) || this.#shed.size > 0) return
    this.#timer?.cancel()
    this.#timer = null
  }

  /** Gives up all at once, at the end of the server. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = null
    while (this.#shed.size > 0) this.#dropOldest()
  }

  #dropOldest(): void {
    for (const [key, { invite, path }] of this.#shed) {
      this.#shed.delete(key)
      this.#giveUp(invite, path)
      return
    }
  }

  /** One timer for the oldest: all live equally long, and a Map keeps their order. */
  #startTimer(ms: number): void {
    this.#timer = this.#clock.startTimer(ms, () => {
      this.#timer = null
      const now = this.#clock.now()
      for (const { expiresAt } of this.#shed.values()) {
        if (expiresAt > now) {
          this.#startTimer(expiresAt - now)
          return
        }
        this.#dropOldest()
      }
    })
  }
}

function keyOf(invite: Request): string {
  return `${invite.callId}\n${invite.fromTag ?? ''}\n${invite.cseq.number}`
}
