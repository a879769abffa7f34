import type { Dictionary } from '../base/bencode.ts'
import { type NgFlags, type Profile, withExtras } from './profiles.ts'
import { type Exchange, type MediaResult, NO_SESSION, type Session, type Signal } from './session.ts'

type Done = (result: MediaResult) => void

/** What the engine does for them. */
interface Commands {
  readonly sessionOf: (callId: string) => Session | undefined
  /** @param parties the caller and the callee, as a new session has them */
  readonly offer: (signal: Signal, parties: Signal, done: Done) => void
  readonly answer: (session: Session, signal: Signal, done: Done) => void
}

interface Delayed {
  readonly callerTag: string
  readonly profile: string | null
  /** Flags of the script's for what the callee gets: the answer. */
  readonly extras: Dictionary
  /** How often a callee's first offer was accepted, by its tag: a preview in a 183 and the 200 say it twice. */
  readonly taken: Map<string, number>
  /** Callees whose offer has been answered: whatever follows is as in any call. */
  readonly settled: Set<string>
}

/**
 * Calls whose INVITE had no offer (RFC 3261 §13.2.1): each callee makes its own, in a 2xx or a reliable provisional
 * response, and the caller answers it in the ACK or the PRACK. Sides are told apart as ever; only who begins is another.
 */
export class DelayedOffers {
  readonly #engine: Commands
  /** By Call-ID, until they end. */
  readonly #calls = new Map<string, Delayed>()

  constructor(engine: Commands) {
    this.#engine = engine
  }

  get size(): number {
    return this.#calls.size
  }

  begin({ callId, fromTag, profile, extras }: Signal): void {
    this.#calls.set(callId, {
      callerTag: fromTag,
      profile,
      extras,
      taken: new Map(),
      settled: new Set(),
    })
  }

  end(callId: string): void {
    this.#calls.delete(callId)
  }

  clear(): void {
    this.#calls.clear()
  }

  /** How often the first offer of this callee has been put through; null: it is not the callee who makes it. */
  awaited(callId: string, branch: string): number | null {
    const delayed = this.#calls.get(callId)
    return delayed === undefined ? null : (delayed.taken.get(branch) ?? 0)
  }

  /** A response that a script puts through. False: it is of any other call. */
  response({ callId, fromTag, toTag, sdp, profile, extras }: Signal, done: Done): boolean {
    const delayed = this.#calls.get(callId)
    if (delayed === undefined || fromTag !== delayed.callerTag || toTag === null) return false
    // What the callee repeats once it has been answered is of no consequence, and crosses no more.
    if (delayed.settled.has(toTag)) done({ ok: true, answer: { sdp }, instance: '' })
    else this.#offer(delayed, callId, toTag, { sdp, profile, extras }, done)
    return true
  }

  /** A description that crosses by itself. False: it is not part of a first exchange. */
  exchange(callId: string, { what, from, pair, branch }: Exchange, sdp: string, done: Done): boolean {
    const delayed = pair === 0 ? this.#calls.get(callId) : undefined
    if (delayed === undefined || delayed.settled.has(branch)) return false
    if (what === 'offer' && from === 'callee') {
      this.#offer(delayed, callId, branch, { sdp, profile: null, extras: {} }, done)
      return true
    }
    if (what === 'offer' || from === 'callee') return false
    this.#answer(delayed, callId, branch, sdp, done)
    return true
  }

  /** The flags of a first exchange; null: it is none. */
  flags(
    command: 'offer' | 'answer',
    { callId, pair, callerTag }: Session,
    { fromTag, extras }: Signal,
    profile: Profile,
  ): NgFlags | null {
    const delayed = pair === 0 ? this.#calls.get(callId) : undefined
    if (delayed === undefined || fromTag === callerTag || delayed.settled.has(fromTag)) return null
    return firstFlags(command, profile, extras)
  }

  /** The callee's, in a response to an INVITE that had none. */
  #offer(
    delayed: Delayed,
    callId: string,
    branch: string,
    { sdp, profile, extras }: Pick<Signal, 'sdp' | 'profile' | 'extras'>,
    done: Done,
  ): void {
    const signal = {
      callId,
      fromTag: branch,
      toTag: null,
      viaBranch: null,
      sdp,
      profile: profile ?? delayed.profile,
      extras,
    }
    const parties = { ...signal, fromTag: delayed.callerTag, toTag: branch }
    this.#engine.offer(signal, parties, (result) => {
      const session = this.#engine.sessionOf(callId)
      if (result.ok && session !== undefined) {
        delayed.taken.set(branch, (delayed.taken.get(branch) ?? 0) + 1)
        session.calleeTag = branch
        if (!session.answered.includes(branch)) session.answered = [...session.answered, branch]
      }
      done(result)
    })
  }

  /** The caller's, in the ACK or the PRACK. */
  #answer(
    { callerTag, extras, settled }: Delayed,
    callId: string,
    branch: string,
    sdp: string,
    done: Done,
  ): void {
    const session = this.#engine.sessionOf(callId)
    if (session === undefined) {
      done(NO_SESSION)
      return
    }
    session.calleeTag = branch
    const signal = {
      callId,
      fromTag: branch,
      toTag: callerTag,
      viaBranch: null,
      sdp,
      profile: null,
      extras,
    }
    this.#engine.answer(session, signal, (result) => {
      if (result.ok) settled.add(branch)
      done(result)
    })
  }
}

/**
 * The caller has not said yet what it speaks, so that its offer has to name that; and the callee, who has, gets its answer in
 * the protocol of its own offer (RFC 3264 §6).
 */
function firstFlags(command: 'offer' | 'answer', profile: Profile, extras: Dictionary): NgFlags {
  if (command === 'offer') return withExtras({ ...profile.answer, ...profile.first }, extras)
  const { 'transport-protocol': _itsOwn, ...flags } = profile.offer
  return withExtras(flags, extras)
}
