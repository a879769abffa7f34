import type { Dictionary } from '../base/bencode.ts'
import type { DelayedOffers } from './delayed.ts'
import type { Departures } from './departures.ts'
import { choose, type Instance } from './instance.ts'
import type { NgAnswer, NgClient } from './ng-client.ts'
import type { Prober } from './prober.ts'
import { withExtras, type Profiles } from './profiles.ts'
import { type MediaResult, movesOn, NO_INSTANCE, resultOf, type Session, type Signal } from './session.ts'

type Done = (result: MediaResult) => void

export interface ExchangesOptions {
  readonly client: NgClient
  readonly prober: Prober
  readonly departures: Departures
  readonly instances: readonly Instance[]
  readonly profiles: Profiles
  readonly delayed: Pick<DelayedOffers, 'flags'>
  /** The session came to nothing. */
  readonly failed: (session: Session) => void
}

/**
 * Commands about a session, to its instance. An offer that was never accepted moves on to another instance, and what the one
 * before has made of it is deleted there.
 */
export class Exchanges {
  readonly #o: ExchangesOptions

  constructor(options: ExchangesOptions) {
    this.#o = options
  }

  offer(session: Session, signal: Signal, done: Done): void {
    session.profile = signal.profile ?? session.profile
    this.#try(session, signal, new Set(), done)
  }

  answer(session: Session, signal: Signal, done: Done): void {
    session.profile = signal.profile ?? session.profile
    const { toTag } = signal
    if (signal.fromTag === session.callerTag && toTag !== null) {
      session.calleeTag = toTag
      if (!session.answered.includes(toTag)) session.answered = [...session.answered, toTag]
    }
    this.#ask(session, this.#command('answer', session, signal), (answer) => done(resultOf(session, answer)))
  }

  /** Any other command. */
  tell(session: Session, command: Dictionary, done: Done): void {
    this.#ask(session, { ...command, 'call-id': session.name }, (answer) => done(resultOf(session, answer)))
  }

  #try(session: Session, signal: Signal, tried: Set<Instance>, done: Done): void {
    const { instance } = session
    tried.add(instance)
    this.#ask(session, this.#command('offer', session, signal), (answer) => {
      const accepted = answer.outcome === 'ok'
      if (accepted && !session.established) {
        session.established = true
        session.instance = instance
      }
      if (!session.established) this.#refused(session, instance, signal, tried, answer, done)
      else if (session.instance === instance) done(resultOf(session, answer))
      else {
        // Another offer of the call, made at the same time, was accepted elsewhere: that is where the call is.
        if (accepted) this.#o.departures.tell(instance, session.name)
        this.#try(session, signal, tried, done)
      }
    })
  }

  /** No offer of the call was accepted yet: another instance may do, and what this one made of it must not stay. */
  #refused(
    session: Session,
    instance: Instance,
    signal: Signal,
    tried: Set<Instance>,
    answer: NgAnswer,
    done: Done,
  ): void {
    const { departures } = this.#o
    const { name } = session
    const next = movesOn(answer) && !session.over ? this.#next(session, tried) : null
    if (next !== null) {
      departures.tell(instance, name)
      session.instance = next
      this.#try(session, signal, tried, done)
      return
    }
    const result = movesOn(answer)
      ? { ...NO_INSTANCE, what: `${NO_INSTANCE.what}: ${answer.what}` }
      : resultOf(session, answer)
    // Another offer of the call may still be accepted there; when the call is over, it is deleted then.
    if (session.busy > 0 || session.over) {
      done(result)
      return
    }
    this.#o.failed(session)
    // Who is told no may try again at once, and must not be overtaken by this.
    if (answer.outcome === 'error') departures.tell(instance, name, () => done(result))
    else {
      departures.tell(instance, name)
      done(result)
    }
  }

  /** Another offer of the same call may have found an instance meanwhile. */
  #next(session: Session, tried: Set<Instance>): Instance | null {
    return tried.has(session.instance) ? choose(this.#o.instances, tried) : session.instance
  }

  /** The flags are those of the side that will see the SDP, whichever side began this exchange. */
  #command(command: 'offer' | 'answer', session: Session, signal: Signal): Dictionary {
    const profile = this.#o.profiles[session.profile] ?? { offer: {}, answer: {} }
    const byCaller = signal.fromTag === session.callerTag
    const toCallee = (command === 'offer') === byCaller
    const tags: Record<string, string> = { 'call-id': session.name, 'from-tag': signal.fromTag }
    if (signal.toTag !== null) tags['to-tag'] = signal.toTag
    if (signal.viaBranch !== null) tags['via-branch'] = signal.viaBranch
    const flags = this.#o.delayed.flags(command, session, signal, profile)
    return {
      ...(flags ?? withExtras(toCallee ? profile.offer : profile.answer, signal.extras)),
      command,
      ...tags,
      sdp: signal.sdp,
    }
  }

  #ask(session: Session, command: Dictionary, done: (answer: NgAnswer) => void): void {
    const { client, prober, departures } = this.#o
    const { instance } = session
    session.busy++
    client.ask(instance.address, command, instance.timeoutMs, (answer) => {
      prober.judge(instance, answer)
      session.busy--
      done(answer)
      departures.proceed(session)
    })
  }
}
