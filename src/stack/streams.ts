import type { Path, Protocol } from '../base/address.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { defaultLimits, type Limits } from '../sip/message/limits.ts'
import { StreamFramer } from '../sip/message/stream-framer.ts'
import type { StreamFlow } from './flows.ts'

/** A message that began must be whole by then, or the peer is dripping bytes to hold the connection (slowloris). */
const MESSAGE_DEADLINE_MS = 30_000
/**
 * A head on which nothing has come in for so long is looked at: it may be one that never ends, and can be answered. A body
 * without Content-Length on which nothing has is whole.
 */
const STALL_MS = 500
/** A timer that is so late was kept waiting by us. */
const LATE_MS = 50
/** A connection that has not carried a message by then: CRLFs alone keep none open. */
const SILENT_DEADLINE_MS = 120_000
/** A connection that did, and on which nothing has come in since: past any phone's keep-alive (RFC 5626 §4.4.1: 2 minutes). */
const IDLE_DEADLINE_MS = 900_000
/** One that is half closed, after its last byte: past Timer C (§16.6: over 3 minutes) the answer that it is kept for is late. */
const HALF_CLOSED_DEADLINE_MS = 200_000
/** After a fault in the framing: answers to what came before it may still be on their way. Then we end our side … */
const ANSWER_GRACE_MS = 1_000
/** … and a peer that does not end its own is cut. */
const LINGER_MS = 5_000
const SWEEP_MS = 5_000
/** A WebSocket on which nothing came in for so long is pinged (RFC 6455 §5.5.2) … */
const PING_AFTER_MS = 30_000
/** … and cut when nothing has come by then: phones that lost their network leave no other trace. */
const DEAD_AFTER_MS = 60_000

/** What the transport layer keeps of one open connection. */
export interface Stream {
  readonly flow: StreamFlow
  readonly path: Path
  readonly framer: StreamFramer
  /** Closes the connection; `why` is told to those who listen. */
  readonly cut: (why: string) => void
  /** Sends what is queued, then ends our side of the connection. */
  readonly end: () => void
  /** Asks the peer for a sign of life; null where the transport has no such thing. */
  readonly ping: (() => void) | null
  /** Called once for each message whose head stops coming before its end, and when a body that only that ends does. */
  readonly stalled: () => void
  /** Whether the connection may be used for a target that must prove this name; see `Target.name`. */
  readonly serves: (name: string | undefined) => boolean
  readonly openedAt: number
  /** When the first byte of an unfinished message came; null between messages. */
  partialSince: number | null
  lastBytesAt: number
  /** Runs while a head is unfinished that has not been looked at. */
  stall: Timer | null
  /** The unfinished message's head has been: once is enough, or a peer that drips would have it read again and again. */
  lookedAt: boolean
  /** A whole message has come in on it. */
  spoken: boolean
  /** The peer sends no more; it is kept for an answer. */
  halfClosed: boolean
  /** When the stream was given up: nothing that comes in counts any more. Null while it is good. */
  givenUpAt: number | null
  /** Runs from then until our side is ended. */
  grace: Timer | null
  /** The port the peer takes connections on, when it said that this one stands for them (RFC 5923). */
  aliasPort: number | null
}

/** What the table asks of a connection. */
export type StreamEnds = Pick<Stream, 'cut' | 'end'> & Partial<Pick<Stream, 'ping' | 'stalled' | 'serves'>>

/** The open connections: found by flow or by peer, and swept of those that only hold a place. */
export class StreamTable {
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #byPeer = new Map<string, Stream>()
  readonly #all = new Set<Stream>()
  readonly #counts = new Map<Protocol, number>()
  #sweep: Timer | null = null

  constructor(clock: Clock, limits: Limits = defaultLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  get size(): number {
    return this.#all.size
  }

  /** Open connections of one protocol. */
  count(protocol: Protocol): number {
    return this.#counts.get(protocol) ?? 0
  }

  add(flow: StreamFlow, path: Path, connection: StreamEnds): Stream {
    const now = this.#clock.now()
    const stream: Stream = {
      flow,
      path,
      framer: new StreamFramer(this.#limits),
      cut: connection.cut,
      end: connection.end,
      ping: connection.ping ?? null,
      stalled: connection.stalled ?? (() => undefined),
      serves: connection.serves ?? (() => true),
      openedAt: now,
      partialSince: null,
      lastBytesAt: now,
      stall: null,
      lookedAt: false,
      spoken: false,
      halfClosed: false,
      givenUpAt: null,
      grace: null,
      aliasPort: null,
    }
    this.#all.add(stream)
    this.#byPeer.set(peerKey(path, path.remote.port), stream)
    this.#counts.set(path.protocol, this.count(path.protocol) + 1)
    this.#sweep ??= this.#clock.startTimer(SWEEP_MS, () => this.#runSweep())
    return stream
  }

  /** The peer takes requests for this port of its on the connection, too (RFC 5923 §5). The newest one that says so is it. */
  alias(stream: Stream, port: number): void {
    if (stream.framer.deaf || stream.aliasPort === port) return
    if (stream.aliasPort !== null) this.#forget(stream, stream.aliasPort)
    stream.aliasPort = port
    this.#byPeer.set(peerKey(stream.path, port), stream)
  }

  /** The peer has answered a ping. */
  alive(stream: Stream): void {
    stream.lastBytesAt = this.#clock.now()
  }

  /** To be called after each arrival. `completed`: a message has ended in it. */
  heard(stream: Stream, completed: boolean): void {
    const now = this.#clock.now()
    stream.lastBytesAt = now
    if (stream.framer.buffered === 0) {
      stream.partialSince = null
      this.#endStall(stream)
      return
    }
    // What is left after a whole message is the start of another one.
    if (completed || stream.partialSince === null) {
      stream.partialSince = now
      stream.lookedAt = false
    }
    const { inHead, inRest } = stream.framer
    if (!inHead && !inRest) this.#endStall(stream)
    // What came in may have had it cut.
    else if ((inRest || !stream.lookedAt) && this.#all.has(stream))
      stream.stall ??= this.#awaitStall(stream, STALL_MS)
  }

  /** The peer sends no more. True when an answer is owed: to a message that only this has ended, or silence before. */
  ended(stream: Stream): boolean {
    if (stream.givenUpAt !== null || !this.#all.has(stream)) return false
    if (stream.framer.inRest) this.#stalled(stream)
    stream.halfClosed = stream.framer.deaf && stream.givenUpAt === null && stream.flow.endWithAnswer()
    return stream.halfClosed
  }

  /** Nothing is read from it any more: no new request shall take it, because its answer would not be heard. */
  deafen(stream: Stream): void {
    stream.flow.deafen()
    this.#forgetPeer(stream)
  }

  /** Where the next message begins can no longer be told: the connection ends in order, and soon. */
  giveUp(stream: Stream, answersOwed: boolean): void {
    // It may have been cut for what came in: nothing is left to end.
    if (stream.givenUpAt !== null || !this.#all.has(stream)) return
    stream.givenUpAt = this.#clock.now()
    this.#endStall(stream)
    this.deafen(stream)
    if (answersOwed) stream.grace = this.#clock.startTimer(ANSWER_GRACE_MS, stream.end)
    else stream.end()
  }

  remove(stream: Stream): void {
    if (!this.#all.delete(stream)) return
    stream.grace?.cancel()
    this.#endStall(stream)
    this.#forgetPeer(stream)
    const { protocol } = stream.path
    this.#counts.set(protocol, this.count(protocol) - 1)
    if (this.#all.size === 0) {
      this.#sweep?.cancel()
      this.#sweep = null
    }
  }

  /** An open connection to this peer that may be used for a target which must prove `name`. */
  to(peer: {
    protocol: Protocol
    host: string
    port: number
    name?: string | undefined
  }): Stream | undefined {
    const stream = this.#byPeer.get(peerKey({ protocol: peer.protocol, remote: peer }, peer.port))
    return stream?.serves(peer.name) ? stream : undefined
  }

  *[Symbol.iterator](): IterableIterator<Stream> {
    yield* this.#all
  }

  #awaitStall(stream: Stream, ms: number, mayBeLate = true): Timer {
    const due = this.#clock.now() + ms
    return this.#clock.startTimer(ms, () => {
      stream.stall = null
      const now = this.#clock.now()
      // One timer for all the bytes of a head that comes slowly, instead of one for each.
      const left = stream.lastBytesAt + STALL_MS - now
      // It was not the peer that was silent, but we who did not listen: what has come in meanwhile is read first.
      const late = mayBeLate && now - due > LATE_MS
      if (left <= 0 && !late) this.#stalled(stream)
      else stream.stall = this.#awaitStall(stream, left > 0 ? left : LATE_MS, left > 0)
    })
  }

  #stalled(stream: Stream): void {
    this.#endStall(stream)
    stream.lookedAt = true
    stream.stalled()
    if (stream.framer.buffered === 0) stream.partialSince = null
  }

  #endStall(stream: Stream): void {
    stream.stall?.cancel()
    stream.stall = null
  }

  #forgetPeer(stream: Stream): void {
    this.#forget(stream, stream.path.remote.port)
    if (stream.aliasPort !== null) this.#forget(stream, stream.aliasPort)
  }

  #forget(stream: Stream, port: number): void {
    const key = peerKey(stream.path, port)
    // A newer connection of the same peer may have taken the key: it must outlive the older one.
    if (this.#byPeer.get(key) === stream) this.#byPeer.delete(key)
  }

  #runSweep(): void {
    const now = this.#clock.now()
    this.#sweep = this.#clock.startTimer(SWEEP_MS, () => this.#runSweep())
    for (const stream of this.#all) {
      const why = overdue(stream, now)
      if (why !== null) stream.cut(why)
      else if (now - stream.lastBytesAt >= PING_AFTER_MS) stream.ping?.()
    }
  }
}

function overdue(s: Stream, now: number): string | null {
  if (s.givenUpAt !== null)
    return now - s.givenUpAt > ANSWER_GRACE_MS + LINGER_MS ? 'no message could be read' : null
  if (s.partialSince !== null && now - s.partialSince > MESSAGE_DEADLINE_MS) return 'a message took too long'
  if (s.halfClosed) return now - s.lastBytesAt > HALF_CLOSED_DEADLINE_MS ? 'idle' : null
  if (s.ping !== null && now - s.lastBytesAt > DEAD_AFTER_MS) return 'no sign of life'
  if (s.spoken) return now - s.lastBytesAt > IDLE_DEADLINE_MS ? 'idle' : null
  return now - s.openedAt > SILENT_DEADLINE_MS ? 'silent' : null
}

function peerKey(
  path: { readonly protocol: Protocol; readonly remote: { readonly host: string } },
  port: number,
): string {
  return `${path.protocol}|${path.remote.host}|${port}`
}
