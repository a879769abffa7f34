import type { Path } from '../base/address.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { sourceOf } from '../base/network.ts'
import { defaultLimits, type Limits } from '../sip/message/limits.ts'
import { StreamFramer } from '../sip/message/stream-framer.ts'
import type { StreamFlow } from './flows.ts'

/** A message that began must be whole by then, or the peer is dripping bytes to hold the connection (slowloris). */
const MESSAGE_DEADLINE_MS = 30_000
/** A connection that has not carried a message by then: CRLFs alone keep none open. */
const SILENT_DEADLINE_MS = 120_000
/** A connection that did, and on which nothing has come in since: past any phone's keep-alive (RFC 5626 §4.4.1: 2 minutes). */
const IDLE_DEADLINE_MS = 900_000
/** After a fault in the framing: answers to what came before it may still be on their way. Then we end our side … */
const ANSWER_GRACE_MS = 1_000
/** … and a peer that does not end its own is cut. */
const LINGER_MS = 5_000
const SWEEP_MS = 5_000

/** What the transport layer keeps of one open connection. */
export interface Stream {
  readonly flow: StreamFlow
  readonly path: Path
  readonly framer: StreamFramer
  /** Closes the connection; `why` is told to those who listen. */
  readonly cut: (why: string) => void
  /** Sends what is queued, then ends our side of the connection. */
  readonly end: () => void
  readonly openedAt: number
  /** When the first byte of an unfinished message came; null between messages. */
  partialSince: number | null
  lastBytesAt: number
  /** A whole message has come in on it. */
  spoken: boolean
  /** When the stream was given up: nothing that comes in counts any more. Null while it is good. */
  givenUpAt: number | null
  /** Runs from then until our side is ended. */
  grace: Timer | null
}

/** The open connections: found by flow or by peer, and swept of those that only hold a place. */
export class StreamTable {
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #byPeer = new Map<string, Stream>()
  readonly #all = new Set<Stream>()
  readonly #perSource = new Map<string, number>()
  #sweep: Timer | null = null

  constructor(clock: Clock, limits: Limits = defaultLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  get size(): number {
    return this.#all.size
  }

  /** Connections of this address, or of its /64. */
  countFrom(host: string): number {
    return this.#perSource.get(sourceOf(host)) ?? 0
  }

  add(flow: StreamFlow, path: Path, connection: Pick<Stream, 'cut' | 'end'>): Stream {
    const now = this.#clock.now()
    const stream: Stream = {
      flow,
      path,
      framer: new StreamFramer(this.#limits),
      cut: connection.cut,
      end: connection.end,
      openedAt: now,
      partialSince: null,
      lastBytesAt: now,
      spoken: false,
      givenUpAt: null,
      grace: null,
    }
    this.#all.add(stream)
    this.#byPeer.set(peerKey(path.remote.host, path.remote.port), stream)
    this.#perSource.set(sourceOf(path.remote.host), this.countFrom(path.remote.host) + 1)
    this.#sweep ??= this.#clock.startTimer(SWEEP_MS, () => this.#runSweep())
    return stream
  }

  /** To be called after each arrival. `completed`: a message has ended in it. */
  heard(stream: Stream, completed: boolean): void {
    const now = this.#clock.now()
    stream.lastBytesAt = now
    if (stream.framer.buffered === 0) stream.partialSince = null
    // What is left after a whole message is the start of another one.
    else if (completed || stream.partialSince === null) stream.partialSince = now
  }

  /** Where the next message begins can no longer be told: the connection ends in order, and soon. */
  giveUp(stream: Stream, answersOwed: boolean): void {
    if (stream.givenUpAt !== null) return
    stream.givenUpAt = this.#clock.now()
    // No new request shall take it.
    this.#forgetPeer(stream)
    if (answersOwed) stream.grace = this.#clock.startTimer(ANSWER_GRACE_MS, stream.end)
    else stream.end()
  }

  remove(stream: Stream): void {
    if (!this.#all.delete(stream)) return
    stream.grace?.cancel()
    this.#forgetPeer(stream)
    const { host } = stream.path.remote
    const left = this.countFrom(host) - 1
    if (left > 0) this.#perSource.set(sourceOf(host), left)
    else this.#perSource.delete(sourceOf(host))
    if (this.#all.size === 0) {
      this.#sweep?.cancel()
      this.#sweep = null
    }
  }

  to(host: string, port: number): Stream | undefined {
    return this.#byPeer.get(peerKey(host, port))
  }

  *[Symbol.iterator](): IterableIterator<Stream> {
    yield* this.#all
  }

  #forgetPeer(stream: Stream): void {
    const key = peerKey(stream.path.remote.host, stream.path.remote.port)
    // A newer connection of the same peer may have taken the key: it must outlive the older one.
    if (this.#byPeer.get(key) === stream) this.#byPeer.delete(key)
  }

  #runSweep(): void {
    const now = this.#clock.now()
    this.#sweep = this.#clock.startTimer(SWEEP_MS, () => this.#runSweep())
    for (const stream of this.#all) {
      const why = overdue(stream, now)
      if (why !== null) stream.cut(why)
    }
  }
}

function overdue(s: Stream, now: number): string | null {
  if (s.givenUpAt !== null)
    return now - s.givenUpAt > ANSWER_GRACE_MS + LINGER_MS ? 'no message could be read' : null
  if (s.partialSince !== null && now - s.partialSince > MESSAGE_DEADLINE_MS) return 'a message took too long'
  if (s.spoken) return now - s.lastBytesAt > IDLE_DEADLINE_MS ? 'idle' : null
  return now - s.openedAt > SILENT_DEADLINE_MS ? 'silent' : null
}

function peerKey(host: string, port: number): string {
  return `${host}|${port}`
}
