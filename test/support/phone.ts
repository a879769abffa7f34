import { type AnswerStep, IncomingCall, OutgoingCall } from '../../src/cli/soft-call.ts'
import { SoftPhone, type SoftPhoneOptions } from '../../src/cli/soft-phone.ts'

/** What a phone does with a call: statuses, and waits in milliseconds between them: `answers(180, { waits: 2000 }, 200)`. */
export type AnswerPlan = readonly (number | { readonly waits: number })[]

/** A user agent of a scenario: `SoftPhone` with the sentences that scenarios are written in. */
export class Phone {
  readonly soft: SoftPhone
  readonly name: string
  /** Everything that happened to it: '200 REGISTER', 'in ringing', 'out answered', 'out ended 487' … */
  readonly log: string[] = []
  #plan: readonly AnswerStep[] = steps([180, 200])
  #hangUpAfter: number | null = null
  #last: OutgoingCall | IncomingCall | null = null

  constructor(name: string, options: Omit<SoftPhoneOptions, 'user' | 'onCall'>) {
    this.name = name
    this.soft = new SoftPhone({ ...options, user: name, onCall: (call) => this.#onCall(call) })
  }

  get aor(): string {
    return this.soft.aor
  }

  /** The call that began last. */
  get call(): OutgoingCall | IncomingCall {
    if (this.#last === null) throw new Error(`${this.name} had no call`)
    return this.#last
  }

  register(expires = 3600): void {
    this.soft.register(expires, (status) => this.log.push(`${status} REGISTER`))
  }

  unregister(): void {
    this.register(0)
  }

  invite(target: string): OutgoingCall {
    const call = this.soft.invite(target)
    this.#follow('out', call)
    return call
  }

  /** What to do with calls from now on; default: 180 and 200 at once. No step: silence. */
  answers(...plan: AnswerPlan): void {
    this.#plan = steps(plan)
  }

  /** Hangs up each call this long after its answer. */
  hangsUpAfter(ms: number): void {
    this.#hangUpAfter = ms
  }

  cancel(): void {
    if (this.call instanceof OutgoingCall) this.call.cancel()
  }

  bye(): void {
    this.call.bye()
  }

  #onCall(call: IncomingCall): void {
    this.#follow('in', call)
    call.answer(this.#plan)
  }

  #follow(way: 'in' | 'out', call: OutgoingCall | IncomingCall): void {
    this.#last = call
    call.onMoved = (state) => {
      this.log.push(state === 'ended' ? `${way} ended ${call.status}` : `${way} ${state}`)
      if (state !== 'answered' || this.#hangUpAfter === null) return
      this.soft.clock.startTimer(this.#hangUpAfter, () => call.bye())
    }
  }
}

function steps(plan: AnswerPlan): readonly AnswerStep[] {
  const result: AnswerStep[] = []
  let afterMs = 0
  for (const entry of plan) {
    if (typeof entry === 'number') {
      result.push({ status: entry, afterMs })
      afterMs = 0
    } else afterMs += entry.waits
  }
  return result
}
