import type { Dictionary } from '../base/bencode.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import type { CallRecord, MediaFigures } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'
import { DelayedOffers } from './delayed.ts'
import { Departures } from './departures.ts'
import { Exchanges } from './exchanges.ts'
import { choose, Instance, type InstanceOptions } from './instance.ts'
import { NgClient } from './ng-client.ts'
import { Prober } from './prober.ts'
import type { Profiles } from './profiles.ts'
import { MediaRecords } from './records.ts'
import {
  CALL_OVER,
  type Exchange,
  type MediaResult,
  NO_INSTANCE,
  NO_SESSION,
  type Party,
  type Session,
  type Signal,
} from './session.ts'
import { Sessions } from './sessions.ts'

export interface MediaEngineOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly instances: readonly InstanceOptions[]
  readonly healthIntervalMs: number
  readonly profiles: Profiles
}

/** At the end of the server, media is deleted within this, or not at all. */
const CLOSE_MS = 2_000

/**
 * Media of calls at a set of rtpengines: which instance has which call, and that it is deleted there when the call is over,
 * whatever ended it. A call is bound to its instance when its first offer is made, before anything is sent, and stays
 * there; only an offer that was never accepted moves on to another.
 */
export class MediaEngine {
  readonly client: NgClient
  readonly instances: readonly Instance[]
  readonly #o: MediaEngineOptions
  readonly #prober: Prober
  readonly #records: MediaRecords
  readonly #sessions: Sessions
  readonly #exchanges: Exchanges
  readonly #departures: Departures
  readonly #delayed: DelayedOffers
  /** Call attempts that are open, by Call-ID: an upstream fork has several. */
  readonly #open = new Map<string, number>()
  /** Of sessions that a script has deleted before the end of their calls. */
  readonly #figures = new Map<string, MediaFigures | null>()

  constructor(options: MediaEngineOptions) {
    this.#o = options
    const { clock, spine, healthIntervalMs: intervalMs } = options
    this.instances = options.instances.map((i) => new Instance(i))
    this.client = new NgClient(options)
    this.#prober = new Prober({ clock, spine, client: this.client, instances: this.instances, intervalMs })
    this.#departures = new Departures(this.client, this.#prober)
    this.#sessions = new Sessions(this.#departures, () => choose(this.instances, new Set()))
    this.#records = new MediaRecords(clock)
    this.#delayed = new DelayedOffers({
      sessionOf: (callId) => this.#sessions.find(callId),
      offer: (signal, parties, done) => this.#offer(signal, parties, done),
      answer: (session, signal, done) => this.#exchanges.answer(session, signal, done),
    })
    this.#exchanges = new Exchanges({
      client: this.client,
      prober: this.#prober,
      departures: this.#departures,
      instances: this.instances,
      profiles: options.profiles,
      delayed: this.#delayed,
      failed: (session) => this.#sessions.remove(session),
    })
    spine.callStarted.subscribe(({ callId }) => this.#open.set(callId, (this.#open.get(callId) ?? 0) + 1))
    spine.callEnded.subscribe((record) => this.#ended(record))
  }

  /** Media sessions that an instance holds for us: `siphon_media_sessions_active`. */
  get sessions(): number {
    return this.#sessions.size
  }

  /** Tables that must be empty when nothing goes on. */
  get levels(): { readonly sessions: number; readonly calls: number; readonly held: number } {
    const held = this.#records.size + this.#figures.size + this.#delayed.size
    return { sessions: this.sessions, calls: this.#open.size, held }
  }

  /** Sockets are there: health is known from now on. */
  start(): void {
    this.#prober.start()
  }

  /** Anchors the SDP of a request. The answer's `sdp` is what the other side must get. */
  offer(signal: Signal, done: (result: MediaResult) => void): void {
    this.#offer(signal, signal, done)
  }

  /** An INVITE without an offer: whichever callee makes one, it and its answer are anchored. Nothing is sent yet. */
  awaitOffer(signal: Signal, done: (result: MediaResult) => void): void {
    const { callId } = signal
    const instance = this.#sessions.find(callId)?.instance ?? choose(this.instances, new Set())
    if (!this.#open.has(callId)) done(CALL_OVER)
    else if (instance === null) done(NO_INSTANCE)
    else {
      this.#delayed.begin(signal)
      done({ ok: true, answer: {}, instance: instance.name })
    }
  }

  /** How often the first offer of this callee has been put through; null: it is not the callee who makes it. */
  awaited(callId: string, branch: string): number | null {
    return this.#delayed.awaited(callId, branch)
  }

  /** @param parties the caller, and the callee where it is known, as a new session has them */
  #offer(signal: Signal, parties: Signal, done: (result: MediaResult) => void): void {
    const { callId } = signal
    if (!this.#open.has(callId)) {
      done(CALL_OVER)
      return
    }
    const leaving = this.#departures.find(callId)
    if (leaving !== undefined) {
      // Its `delete` would take the new one along.
      leaving.onGone.push(() => this.#offer(signal, parties, done))
      return
    }
    let session = this.#sessions.find(callId)
    if (session === undefined) {
      const instance = choose(this.instances, new Set())
      if (instance === null) {
        done(NO_INSTANCE)
        return
      }
      session = this.#sessions.begin(parties, instance)
      this.#figures.delete(callId)
    }
    this.#exchanges.offer(session, signal, done)
  }

  /** Anchors the SDP of the response to an offer. */
  answer(signal: Signal, done: (result: MediaResult) => void): void {
    if (this.#delayed.response(signal, done)) return
    const session = this.#sessions.find(signal.callId)
    if (session === undefined) {
      done(NO_SESSION)
      return
    }
    this.#exchanges.answer(session, signal, done)
  }

  /**
   * Whether this call has media with us.
   * @param branch the tag of a callee whose answer must have been put through; null: of any, or none yet
   */
  has(callId: string, branch: string | null = null): boolean {
    const session = this.#sessions.find(callId)
    return session !== undefined && (branch === null || session.answered.includes(branch))
  }

  /**
   * The description of one party of a call whose first offer and answer have been made: a hold, another codec. With a new
   * `pair` the parties are others, and have media of their own beside the old one until `paired` says which stays.
   */
  renegotiate(callId: string, exchange: Exchange, sdp: string, done: (result: MediaResult) => void): void {
    if (this.#delayed.exchange(callId, exchange, sdp, done)) return
    const { what, from, pair, branch } = exchange
    const session = this.#sessions.of(callId, exchange)
    const calleeTag = pair === 0 ? branch : session?.calleeTag
    // The first answer of a call that was begun by taking somebody's place comes this way, too.
    const known = pair > 0 || what === 'answer' || session?.calleeTag !== null
    if (session === null || calleeTag == null || !known) {
      done(NO_SESSION)
      return
    }
    const { callerTag } = session
    // From is whoever made the offer.
    const byCaller = (from === 'caller') === (what === 'offer')
    const [fromTag, toTag] = byCaller ? [callerTag, calleeTag] : [calleeTag, callerTag]
    const first = what === 'offer' && !session.established
    const signal: Signal = {
      callId,
      fromTag,
      toTag: first ? null : toTag,
      viaBranch: null,
      sdp,
      profile: null,
      extras: {},
    }
    if (what === 'offer') this.#exchanges.offer(session, signal, done)
    else this.#exchanges.answer(session, signal, done)
  }

  /** The parties of this pair talk, in the place of those before, or do not. */
  paired(callId: string, pair: number, kept: boolean): void {
    this.#sessions.settle(callId, pair, kept && this.#open.has(callId))
  }

  /**
   * Any other command about a call that has media.
   * @param party who is meant; null: both
   */
  command(
    command: string,
    callId: string,
    party: Party | null,
    extras: Dictionary,
    done: (result: MediaResult) => void,
  ): void {
    const session = this.#sessions.find(callId)
    if (session === undefined) {
      done(NO_SESSION)
      return
    }
    const tag = party === 'callee' ? session.calleeTag : party === 'caller' ? session.callerTag : null
    if (party === 'callee' && tag === null) {
      done({ ok: false, reason: 'no_session', what: 'the callee has not answered an offer yet' })
      return
    }
    const whom: Dictionary = tag === null ? {} : { 'from-tag': tag }
    this.#exchanges.tell(session, { ...extras, command, ...whom }, done)
  }

  /** Deletes the media of a call that goes on, or is about to end. Without media there is nothing to do: `done(false)`. */
  delete(callId: string, done: (deleted: boolean) => void): void {
    this.#delayed.end(callId)
    const session = this.#sessions.find(callId)
    if (session === undefined) {
      done(false)
      return
    }
    session.onGone.push(() => done(true))
    this.#leave(session, (figures) => {
      if (this.#open.has(callId)) this.#figures.set(callId, figures)
    })
  }

  /** Asks every instance whether it is there. */
  ping(done: (answered: number) => void): void {
    let [waiting, answered] = [this.instances.length, 0]
    for (const instance of this.instances) {
      this.client.ask(instance.address, { command: 'ping' }, instance.timeoutMs, (answer) => {
        this.#prober.judge(instance, answer)
        if (answer.outcome === 'ok') answered++
        if (--waiting === 0) done(answered)
      })
    }
  }

  /** Passes a call's record on with its media figures: at most a second later, and always. */
  complete(record: CallRecord, push: (record: CallRecord) => void): void {
    this.#records.complete(record, push)
  }

  /** Passes on the records that are held, now. */
  releaseRecords(): void {
    this.#records.release()
  }

  /** Every call has ended: waits, but not for long, until their media is deleted. */
  async close(): Promise<void> {
    this.#prober.close()
    this.#delayed.clear()
    this.#sessions.clear()
    await new Promise<void>((done) => {
      const timer = this.#o.clock.startTimer(CLOSE_MS, done)
      this.#departures.whenIdle(() => {
        timer.cancel()
        done()
      })
    })
    this.#records.release()
    await this.client.close()
  }

  #ended(record: CallRecord): void {
    const { callId } = record
    if (record.kind === 'register') return
    const left = (this.#open.get(callId) ?? 1) - 1
    if (left > 0) {
      this.#open.set(callId, left)
      return
    }
    this.#open.delete(callId)
    this.#delayed.end(callId)
    this.#sessions.abandon(callId)
    const session = this.#sessions.find(callId)
    const known = this.#figures.get(callId)
    if (known !== undefined) {
      this.#figures.delete(callId)
      this.#records.expect(callId)
      this.#records.settle(callId, known)
    } else if (session !== undefined && record.answeredAt !== null && record.endedAt === null) {
      // Answered without Record-Route: the call goes on where we do not see it, and so does its media.
      this.#sessions.remove(session)
    } else if (session !== undefined) {
      this.#records.expect(callId)
      this.#leave(session, (figures) => this.#records.settle(callId, figures))
    } else {
      // Deleted by the script a moment ago, and its figures under way.
      const leaving = this.#departures.find(callId)
      if (leaving === undefined) return
      this.#records.expect(callId)
      leaving.onFigures = (figures) => this.#records.settle(callId, figures)
    }
  }

  #leave(session: Session, onFigures: (figures: MediaFigures | null) => void): void {
    this.#sessions.remove(session)
    this.#departures.add(session, onFigures)
  }
}
