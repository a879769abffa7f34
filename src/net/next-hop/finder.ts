import type { Clock } from '../../base/clock.ts'
import type { Found, Hop, NextHops } from '../../base/next-hop.ts'
import { keyOf } from '../dns/cache.ts'
import { type Answer, FAILED, type Question } from '../dns/records.ts'
import { addressOf, type Policy, stepTo } from './plan.ts'

export interface NextHopFinderOptions {
  readonly clock: Clock
  readonly dns: { resolve(question: Question, then: (answer: Answer) => void): void }
  readonly policy: Policy
  /** The next number from 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number
  /** The whole search: what has not been answered by then is not waited for. */
  readonly deadlineMs: number
}

/** Walks the steps of RFC 3263: asks what `stepTo` needs until it needs nothing more, or the time is up. */
export class NextHopFinder implements NextHops {
  readonly #o: NextHopFinderOptions

  constructor(options: NextHopFinderOptions) {
    this.#o = options
  }

  find(hop: Hop, then: (found: Found) => void): void {
    const { dns, clock, policy, random, deadlineMs } = this.#o
    // Most hops are addresses, of which nothing has to be asked.
    const address = addressOf(hop)
    if (address !== null) return then({ ok: true, targets: [address] })
    // What was said once holds for this search: a TTL of 0 must not make it go in circles.
    const said = new Map<string, Answer>()
    let late = false
    let over = false
    const known = (question: Question): Answer | undefined =>
      said.get(keyOf(question)) ?? (late ? FAILED : undefined)
    const step = (): void => {
      while (!over) {
        const next = stepTo(hop, policy, known, random)
        if (next.need === null) {
          over = true
          timer?.cancel()
          if (next.targets.length > 0) then({ ok: true, targets: next.targets })
          else then({ ok: false, why: next.failed ? 'failed' : 'none' })
          return
        }
        let open = next.need.length
        let asking = true
        for (const question of next.need) {
          dns.resolve(question, (answer) => {
            said.set(keyOf(question), answer)
            open--
            if (open === 0 && !asking) step()
          })
        }
        asking = false
        // Answered at once, every one: go on here rather than one call deeper.
        if (open > 0) {
          timer ??= clock.startTimer(deadlineMs, () => {
            late = true
            step()
          })
          return
        }
      }
    }
    let timer: ReturnType<Clock['startTimer']> | null = null
    return step()
  }
}
