import type { Path, Protocol } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { type Linked, LinkedSet } from '../base/linked-set.ts'
import type { Request } from '../sip/message/message.ts'
import type { CallRecord, CallResult, DisconnectInitiator } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'

/** How a call came to its end. */
export interface Ending {
  readonly initiator: DisconnectInitiator | null
  /** The Reason header field of the BYE or CANCEL, as written. */
  readonly reason: string | null
  /** False when nobody told us: a call without Record-Route goes on elsewhere. */
  readonly seen: boolean
}

/** A live call as `/admin/calls` shows it. Times are wall-clock milliseconds. */
export interface CallView {
  readonly id: string
  readonly callId: string
  readonly fromUri: string
  readonly bParty: string | null
  readonly state: 'calling' | 'ringing' | 'answered'
  readonly startedAt: number
  readonly answeredAt: number | null
  readonly source: string
  readonly kind: 'proxy' | 'b2bua'
}

/** One INVITE attempt from its first INVITE to its one record, whatever ends it. */
export class Call implements Linked<Call> {
  inSet: LinkedSet<Call> | null = null
  before: Call | null = null
  after: Call | null = null
  readonly id: string
  readonly callId: string
  readonly fromUri: string
  readonly toUri: string
  readonly ruri: string
  readonly userAgent: string | null
  readonly path: Path
  readonly startedAt: number
  /** Record-routed dialogs of it that are confirmed and not over: the last one's end is the call's. */
  dialogs = 0
  /** The caller was told that it rings: a provisional response above 100 went up. */
  ringing = false
  /** The how manieth of its table it is: where the next page of a list goes on. */
  order = 0
  /** A script wants this record (`cdr.write`). */
  requested = false
  kind: 'proxy' | 'b2bua' = 'proxy'
  /** Request-URI of the branch or leg that went out last, and once one has answered, of that one. Null: none went out. */
  bParty: string | null = null
  /** Call-IDs of the legs we made. */
  legs: readonly string[] = []
  /** Hangs the call up; null: it is not ours to. */
  hangUp: (() => void) | null = null
  readonly tracker: CallTracker
  readonly #started: number
  #answered: number | null = null
  #answeredAt: number | null = null
  #setupMs: number | null = null
  #code = 0
  #destination: { readonly host: string; readonly port: number } | null = null
  #authUser: string | null = null
  #extra: string | null = null
  #challenged = false
  #decided = false
  #over = false

  constructor(tracker: CallTracker, invite: Request, path: Path) {
    this.tracker = tracker
    this.id = tracker.identifiers.recordId()
    this.callId = invite.callId
    this.fromUri = invite.from.uri
    this.toUri = invite.to.uri
    this.ruri = invite.uri
    this.userAgent = invite.headers.first('user-agent') ?? null
    this.path = path
    this.startedAt = tracker.clock.wallTime()
    this.#started = tracker.clock.now()
    const { callStarted } = tracker.spine
    if (callStarted.active) callStarted.publish({ id: this.id, callId: this.callId })
  }

  get answered(): boolean {
    return this.#answered !== null
  }

  get over(): boolean {
    return this.#over
  }

  /** What a script's decision says about the record. `cdr` is the JSON text of one object. */
  note(cdr: string | null, authUser: string | null): void {
    if (authUser !== null) this.#authUser = authUser
    if (cdr === null) return
    this.requested = true
    this.#extra = this.#extra === null || this.#extra === '{}' ? cdr : merged(this.#extra, cdr)
  }

  /** A branch went there. After the answer only the answering branch counts. */
  routedTo(host: string, port: number): void {
    this.#destination = { host, port }
  }

  /** The first 2xx goes to the caller. */
  answer(code: number): void {
    if (this.#decided) return
    this.#answered = this.tracker.clock.now()
    this.#answeredAt = this.tracker.clock.wallTime()
    this.#decide('answered', code)
  }

  /** A final response other than 2xx goes to the caller, or none ever will (code 0). Ends the call. */
  fail(result: CallResult, code: number, initiator: DisconnectInitiator, reason: string | null): void {
    if (this.#decided) return
    this.#challenged = result === 'challenged'
    this.#decide(result, code)
    this.end({ initiator, reason, seen: true })
  }

  /** The one exit: publishes the record, once. */
  end({ initiator, reason, seen }: Ending): void {
    if (this.#over) return
    this.#over = true
    this.tracker.forget(this)
    const { clock, spine } = this.tracker
    if (!spine.callEnded.active) return
    const record: CallRecord = {
      id: this.id,
      kind: this.kind,
      callId: this.callId,
      fromUri: this.fromUri,
      toUri: this.toUri,
      ruri: this.ruri,
      method: 'INVITE',
      startedAt: this.startedAt,
      answeredAt: this.#answeredAt,
      endedAt: seen ? clock.wallTime() : null,
      setupMs: this.#setupMs,
      durationMs: seen && this.#answered !== null ? clock.now() - this.#answered : 0,
      responseCode: this.#code,
      sourceIp: this.path.remote.host,
      sourcePort: this.path.remote.port,
      destinationIp: this.#destination?.host ?? null,
      destinationPort: this.#destination?.port ?? null,
      transport: this.path.protocol satisfies Protocol,
      userAgent: this.userAgent,
      authUser: this.#authUser,
      disconnectInitiator: initiator,
      sipReason: reason,
      legs: this.legs,
      extra: this.#extra,
      requested: this.requested,
      challenged: this.#challenged,
    }
    spine.callEnded.publish(record)
  }

  view(): CallView {
    const { remote } = this.path
    return {
      id: this.id,
      callId: this.callId,
      fromUri: this.fromUri,
      bParty: this.bParty,
      state: this.answered ? 'answered' : this.ringing ? 'ringing' : 'calling',
      startedAt: this.startedAt,
      answeredAt: this.#answeredAt,
      source: `${remote.host}:${remote.port}`,
      kind: this.kind,
    }
  }

  #decide(result: CallResult, code: number): void {
    this.#decided = true
    this.#code = code
    const setupMs = this.tracker.clock.now() - this.#started
    // No final response, no setup time (contract §5); the fact carries the time until it was given up.
    this.#setupMs = code === 0 ? null : setupMs
    const { callDecided } = this.tracker.spine
    if (callDecided.active) callDecided.publish({ callId: this.callId, result, code, setupMs })
  }
}

export interface CallTrackerOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
}

/** Every open call attempt. Levels are the table's size, never counted by hand. */
export class CallTracker {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  /** In order of beginning. */
  readonly #open = new LinkedSet<Call>()
  #begun = 0

  constructor({ clock, identifiers, spine }: CallTrackerOptions) {
    this.clock = clock
    this.identifiers = identifiers
    this.spine = spine
  }

  /** Calls in setup or answered whose end we have not seen: `siphon_calls_active`. */
  get active(): number {
    return this.#open.size
  }

  /** Calls a record is open for: `siphon_cdr_sessions`. */
  get records(): number {
    return this.#open.size
  }

  /** Of these, the ones a script asked a record for: what `siphon_cdr_sessions` means with `auto_emit` off. */
  get requestedRecords(): number {
    let count = 0
    for (const call of this.#open) if (call.requested) count++
    return count
  }

  /** A new INVITE without To tag that got a transaction. */
  begin(invite: Request, path: Path): Call {
    const call = new Call(this, invite, path)
    call.order = ++this.#begun
    this.#open.add(call)
    return call
  }

  /** For people: looks through all. */
  find(id: string): Call | undefined {
    for (const call of this.#open) if (call.id === id) return call
    return undefined
  }

  /** Up to `limit` live calls, oldest first, begun after the one that `cursor` names, whether that lives or not. */
  page(cursor: string | null, limit: number): { readonly views: CallView[]; readonly next: string | null } {
    const after = Number(cursor ?? 0)
    const views: CallView[] = []
    let last = after
    for (const call of this.#open) {
      if (call.order <= after) continue
      if (views.length === limit) return { views, next: String(last) }
      views.push(call.view())
      last = call.order
    }
    return { views, next: null }
  }

  /** Cut off: every open call gets its record now. */
  closeAll(initiator: DisconnectInitiator): void {
    for (const call of [...this.#open]) {
      if (call.answered) call.end({ initiator, reason: null, seen: true })
      else call.fail('error', 0, initiator, null)
    }
  }

  forget(call: Call): void {
    this.#open.delete(call)
  }
}

/** Of two JSON objects, the later one's fields win. Happens only when two handlers of one call write. */
function merged(first: string, second: string): string {
  const fields: unknown = JSON.parse(first)
  const more: unknown = JSON.parse(second)
  return JSON.stringify(Object.assign({}, fields, more))
}
