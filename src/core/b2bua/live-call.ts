import type { Path } from '../../base/address.ts'
import type { Clock } from '../../base/clock.ts'
import type { Linked, LinkedSet } from '../../base/linked-set.ts'
import { Bridge } from '../../sip/b2bua/bridge.ts'
import type {
  BridgeUser,
  Crossing,
  Ended,
  Found,
  Question,
  Reply,
  Side,
} from '../../sip/b2bua/bridge-user.ts'
import { type Content, NOTHING, type Header, type Outcome, type RefusedBy } from '../../sip/b2bua/events.ts'
import { contentOf } from '../../sip/b2bua/headers.ts'
import type { BridgeWorld } from '../../sip/b2bua/legs.ts'
import type { DialTarget } from '../../sip/b2bua/plan.ts'
import { UacLeg } from '../../sip/b2bua/uac-leg.ts'
import type { UasLeg } from '../../sip/b2bua/uas-leg.ts'
import type { Request, Response } from '../../sip/message/message.ts'
import { parseNameAddr } from '../../sip/message/name-addr.ts'
import type { Spine } from '../../spine/spine.ts'
import { BranchWatch, type GatewayPort, rerouteCause } from '../branch-watch.ts'
import { type Cause, initiatorOf, resultOf } from '../call-result.ts'
import type { Call } from '../calls.ts'
import { editedRequest, editResponse } from '../edits.ts'
import type {
  CallHandlerKind,
  CallInfo,
  Decision,
  DialVerdict,
  Job,
  Outcome as Decided,
  Router,
} from '../verdict.ts'
import type { ContactWays } from './contact-ways.ts'
import { outcomeOf, planFor, sameButTarget } from './plans.ts'
import { replacesIn } from './replaces.ts'
import { seenAs, split } from './seen.ts'
import type { LegTable } from './leg-table.ts'

/** A media relay, as far as calls need it once a script has put theirs through it. */
export interface MediaRelay {
  /**
   * Whether it has the media of this call.
   * @param branch of whom an answer must have been put through it; null: of anybody, or nobody yet
   */
  has(callId: string, branch: string | null): boolean
  /**
   * Of a call whose first offer is the callee's, and shall go through the relay: how often this callee's has been put
   * through. Null: of any other call.
   */
  awaited(callId: string, branch: string): number | null
  /** @param done called once: what the other party shall see; null when the relay does not give it */
  exchange(
    callId: string,
    crossing: Omit<Crossing, 'content'>,
    sdp: string,
    done: (sdp: string | null) => void,
  ): void
  /** Two parties that were being put together are, in the place of those before, or are not. */
  paired(callId: string, pair: number, kept: boolean): void
}

/** What the live calls of a server share. */
export interface CallWorld extends BridgeWorld {
  readonly clock: Clock
  readonly spine: Spine
  readonly router: Router
  readonly legs: LegTable
  readonly newCallId: () => string
  /** Runs `work` as an input of the machines. */
  readonly input: (work: () => void) => void
  readonly forget: (call: LiveCall) => void
  /** Null: none is configured. */
  readonly media: MediaRelay | null
  readonly remoteOf: (leg: UacLeg) => { readonly host: string; readonly port: number } | null
  /** Where registered contacts are reached. */
  readonly contacts: ContactWays
  /** Null: there are none. */
  readonly gateways: GatewayPort | null
  /** The dialog that the Replaces of a REFER's target names; null: none of ours. */
  readonly referred: (refer: Request) => Found | null
  /** The dialog that the Replaces of an INVITE names; or how it is refused (RFC 3891 §3). */
  readonly replaced: (invite: Request) => Found | number
}

const HANDLERS: Readonly<Record<Question['about'], CallHandlerKind>> = {
  early: 'early',
  answer: 'answered',
  failure: 'refused',
  refer: 'refer',
}

interface LegBook {
  readonly at: number
  answered: boolean | null
  setupMs: number | null
  /** Of a leg to a gateway. */
  readonly watch: BranchWatch | null
}

/** One call of the back-to-back user agent: its bridge, its record, and what the script says to it. */
export class LiveCall implements BridgeUser, Linked<LiveCall> {
  inSet: LinkedSet<LiveCall> | null = null
  before: LiveCall | null = null
  after: LiveCall | null = null
  readonly bridge: Bridge
  readonly call: Call
  readonly #w: CallWorld
  /** The caller's INVITE as it came, for the handlers. Of an originated call: ours. */
  readonly #invite: Request
  readonly #path: Path
  readonly #receivedAt: number
  /** When each leg of ours began, and what came of it. */
  readonly #legs = new Map<UacLeg, LegBook>()
  /** Callees whose first offer, as the script has left it, is the relay's already; by our tag on the leg. */
  readonly #through = new Set<string>()
  #ringing = false
  #ended: Side | 'server' | null = null
  /** Told once that the call is answered, or why not. */
  onSettled: ((answered: boolean, outcome: Outcome) => void) | null = null

  constructor(world: CallWorld, call: Call, invite: Request, path: Path, receivedAt: number) {
    this.#w = world
    this.call = call
    this.#invite = invite
    this.#path = path
    this.#receivedAt = receivedAt
    this.bridge = new Bridge(world, this)
    call.kind = 'b2bua'
    call.hangUp = () => world.input(() => this.terminate())
  }

  /** Our own decision: BYE on every leg, or a refusal. */
  terminate(headers: readonly Header[] = []): void {
    this.#ended = 'server'
    this.bridge.hangup(headers)
  }

  /** Carries out what a handler has decided about the call's next step. Throws a TypeError on bad header text. */
  carryOut(decision: Decision): void {
    const { verdict } = decision
    if (verdict.do === 'takeover') {
      const found = this.#w.replaced(this.#invite)
      const content = contentOf(editedRequest(this.#invite, decision.edits))
      if (typeof found === 'number') this.bridge.refuse({ ...NOTHING, status: found, reason: null })
      else this.bridge.takeOver(found, content)
    }
    if (verdict.do !== 'dial' && verdict.do !== 'answer') return
    for (const { code, reason, body, contentType } of verdict.progress) {
      const content = body === null ? null : outcomeOf(code, reason, [], body, contentType).content
      this.bridge.progress(code, reason, content, [])
    }
    if (verdict.do === 'dial') this.bridge.dial(planFor(this.#invite, decision.edits, verdict, this.#located))
    else {
      const { code, reason, headers, body, contentType } = verdict
      this.bridge.answer(outcomeOf(code, reason, headers, body, contentType))
    }
  }

  wants(about: Question['about']): boolean {
    return this.#w.router.handles(HANDLERS[about], 'INVITE')
  }

  ask(question: Question, done: (reply: Reply) => void): void {
    const response =
      question.about === 'refer' ? null : seenAs(this.#invite, question.response, legOf(question))
    const refer = question.about === 'refer' ? question.ask.request : null
    const branch = legOf(question)?.localTag ?? null
    const before = this.#awaited(branch)
    const info = this.#info(question.about === 'refer' ? question.side : null, refer)
    const asked = this.#run(HANDLERS[question.about], response, info, (decided) =>
      this.#w.input(() => {
        const reply = this.#replyTo(question, response, decided)
        const now = this.#awaited(branch)
        if (branch !== null && reply.do === 'pass' && (now ?? 0) > (before ?? 0)) this.#through.add(branch)
        done(reply)
      }),
    )
    // No room: a response passes, a transfer does not. Later, as every answer.
    if (!asked) {
      const passed = this.#replyTo(question, response, null)
      this.#w.clock.startTimer(0, () => this.#w.input(() => done(passed)))
    }
  }

  /** Media that a script has put through the relay stays there, whatever the parties agree on later. */
  relay({ content, ...crossing }: Crossing, done: (content: Content | null) => void): void {
    const { media } = this.#w
    if (media === null) return done(content)
    const { branch, early } = crossing
    const delayed = this.#awaited(branch) !== null
    // The script has seen to it by itself.
    if (delayed && early && crossing.what === 'offer' && this.#through.delete(branch)) return done(content)
    // Before the answer it is the script's affair whose descriptions go through the relay.
    if (!delayed && !media.has(this.call.callId, early ? branch : null)) return done(content)
    // A part of a body cannot be told from the whole here: what is not plainly SDP does not pass the relay by.
    if (
      !content.fields.some(
        ([name, value]) => /^(content-type|c)$/i.test(name) && /^application\/sdp\b/i.test(value),
      )
    ) {
      return done(null)
    }
    return media.exchange(this.call.callId, crossing, content.body, (sdp) =>
      this.#w.input(() => done(sdp === null ? null : { ...content, body: sdp })),
    )
  }

  held(branch: string): boolean {
    return this.#awaited(branch) !== null
  }

  #awaited(branch: string | null): number | null {
    const { media } = this.#w
    return media === null || branch === null ? null : media.awaited(this.call.callId, branch)
  }

  onPaired(pair: number, kept: boolean): void {
    this.#w.media?.paired(this.call.callId, pair, kept)
  }

  readonly #located = (targets: DialVerdict['targets']): readonly DialTarget[] =>
    this.#w.contacts.locate(targets, this.call.ruri)

  newCallId(): string {
    return this.#w.newCallId()
  }

  onLeg(leg: UasLeg | UacLeg): void {
    this.#w.legs.add(leg, this.call.callId, this.call.ruri)
    if (leg.callId !== this.call.callId) this.call.legs = [...this.call.legs, leg.callId]
    if (leg instanceof UacLeg && leg.calling) {
      this.#w.contacts.begin(leg)
      const { clock, gateways } = this.#w
      const { gateway } = leg.target
      const watch = gateway == null || gateways === null ? null : new BranchWatch(gateways, gateway, clock)
      this.#legs.set(leg, { at: clock.now(), answered: null, setupMs: null, watch })
    }
  }

  onLegDecided(leg: UacLeg, by: RefusedBy | null, status: number): void {
    const known = this.#legs.get(leg)
    if (known === undefined || known.answered !== null) return
    // Given up: that says nothing of the gateway, and its leg has not been decided.
    if (by === 'cancelled') return known.watch?.failed('cancelled')
    const answered = by === null
    known.answered = answered
    if (by === null || by === 'peer') known.watch?.received(status)
    else if (by === 'no-answer') known.watch?.unanswered()
    else known.watch?.failed(by)
    known.setupMs = answered ? this.#w.clock.now() - known.at : null
  }

  onLegOver(leg: UasLeg | UacLeg): void {
    this.#w.legs.remove(leg)
    this.#w.contacts.end(leg.callId)
    this.#tellLeg(leg)
  }

  /** Another call has it from now on: what became of it here is told. */
  onLegMoved(leg: UasLeg | UacLeg): void {
    this.#tellLeg(leg)
  }

  #tellLeg(leg: UasLeg | UacLeg): void {
    if (!(leg instanceof UacLeg)) return
    const known = this.#legs.get(leg)
    this.#legs.delete(leg)
    const { legEnded } = this.#w.spine
    if (known === undefined || !legEnded.active) return
    const result = known.answered === null ? 'cancelled' : known.answered ? 'answered' : 'refused'
    legEnded.publish({ result, setupMs: known.setupMs })
  }

  onRinging(leg: UacLeg, status: number): void {
    this.#ringing = true
    this.call.ringing = true
    this.#legs.get(leg)?.watch?.received(status)
  }

  movesOn(gateway: string, by: RefusedBy, status: number): boolean {
    const local = by === 'transport' || by === 'unroutable' ? by : null
    return this.#w.gateways?.movesOn(gateway, rerouteCause(status, local)) ?? true
  }

  onAnswered(leg: UacLeg | null, outcome: Outcome): void {
    const remote = leg === null ? null : this.#w.remoteOf(leg)
    if (remote !== null) this.call.routedTo(remote.host, remote.port)
    this.call.answer(outcome.status)
    this.onSettled?.(true, outcome)
  }

  onRefused(by: RefusedBy | null, outcome: Outcome, meant: number): void {
    const cause = by === null ? 'server' : CAUSES[by]
    const remote = [...this.#legs.keys()].map((leg) => this.#w.remoteOf(leg)).findLast((r) => r !== null)
    if (remote !== undefined && remote !== null) this.call.routedTo(remote.host, remote.port)
    this.call.fail(
      resultOf(meant, cause, this.#ringing),
      outcome.status,
      initiatorOf(cause),
      reasonIn(outcome.headers),
    )
    this.onSettled?.(false, outcome)
  }

  onCancelled(headers: readonly Header[]): void {
    this.call.fail('cancelled', 487, 'caller', reasonIn(headers))
    this.#tell('calledOff', null)
  }

  onEnded({ by, side, headers }: Ended): void {
    const initiator = by === 'peer' ? side : by === 'us' ? 'server' : by
    const who = by === 'peer' ? side : 'server'
    this.#ended = who
    this.#tell('bye', who)
    this.call.end({ initiator, reason: reasonIn(headers), seen: true })
  }

  onOver(): void {
    this.#w.forget(this)
  }

  /** `onBye` and `onCancel` are told, and decide nothing; the record has been made. */
  #tell(kind: 'bye' | 'calledOff', side: CallInfo['side']): void {
    if (!this.#w.router.handles(kind, 'INVITE')) return
    this.#run(kind, null, this.#info(side, null), () => undefined)
  }

  #run(
    kind: CallHandlerKind,
    response: Response | null,
    call: CallInfo,
    done: (outcome: Decided) => void,
  ): boolean {
    const reservation = this.#w.router.reserve('in-dialog', 'INVITE')
    if (reservation === null) return false
    const elapsedMs = this.#w.clock.now() - this.#receivedAt
    const job: Job = {
      kind,
      request: this.#invite,
      response,
      path: this.#path,
      routeConsumed: false,
      elapsedMs,
      call,
    }
    reservation.decide(job, (outcome) => {
      if (outcome.ok) this.call.note(outcome.decision.cdr, outcome.decision.authUser)
      done(outcome)
    })
    return true
  }

  #info(side: CallInfo['side'], refer: Request | null): CallInfo {
    const target = refer === null ? null : parseNameAddr(refer.headers.first('refer-to') ?? '')
    const uri = target?.ok ? target.value.uri : null
    const question = uri?.indexOf('?') ?? -1
    return {
      id: this.call.id,
      state: this.bridge.state,
      side: side ?? this.#ended,
      referTo: uri === null ? null : question < 0 ? uri : uri.slice(0, question),
      replaces: uri !== null && /[?&]replaces=/i.test(uri),
    }
  }

  #replyTo(question: Question, response: Response | null, decided: Decided | null): Reply {
    if (question.about === 'refer') return this.#referReply(question.ask.request, decided)
    const { headers } = question.response
    const pass: Reply = {
      do: 'pass',
      content: question.response.content,
      headers: this.bridge.crossing(headers),
    }
    if (decided === null || !decided.ok || response === null) return pass
    const { verdict, edits } = decided.decision
    switch (verdict.do) {
      case 'drop':
        return { do: 'drop' }
      case 'reply':
        return {
          do: 'refuse',
          outcome: outcomeOf(
            verdict.code,
            verdict.reason,
            verdict.headers,
            verdict.body,
            verdict.contentType,
          ),
        }
      case 'reject':
        return { do: 'refuse', outcome: { ...NOTHING, status: verdict.code, reason: verdict.reason } }
      case 'hangup':
        return { do: 'refuse', outcome: { ...NOTHING, status: 603, reason: null } }
      case 'dial':
        return { do: 'dial', plan: planFor(this.#invite, edits, verdict, this.#located) }
      default: {
        const crossed = seenAs(
          this.#invite,
          { ...question.response, headers: this.bridge.crossing(headers) },
          null,
        )
        editResponse(crossed, edits)
        return { do: 'pass', ...split(crossed) }
      }
    }
  }

  #referReply(refer: Request, decided: Decided | null): Reply {
    const refuse = (status: number, reason: string | null): Reply => ({
      do: 'refuse',
      outcome: { ...NOTHING, status, reason },
    })
    if (decided === null) return refuse(503, null)
    if (!decided.ok) return refuse(500, null)
    const { verdict } = decided.decision
    if (verdict.do === 'reply') return refuse(verdict.code, verdict.reason)
    if (verdict.do !== 'transfer') return refuse(603, null)
    const info = this.#info(null, refer)
    const uri = verdict.target ?? info.referTo
    if (uri === null) return refuse(400, 'No Refer-To')
    const found = verdict.target === null ? this.#w.referred(refer) : null
    const replaces = found === null && verdict.target === null ? replacesIn(refer) : null
    const headers: Header[] = replaces === null ? [] : [['Replaces', replaces]]
    const { nextHop, contact = null } = verdict
    const targets = this.#located([{ uri, nextHop, contact }])
    return { do: 'transfer', plan: sameButTarget(this.#invite, uri, targets, headers), found }
  }
}

const CAUSES: Readonly<Record<RefusedBy, Cause>> = {
  peer: 'callee',
  timeout: 'timeout',
  transport: 'error',
  unroutable: 'server',
  'no-answer': 'no-answer',
  cancelled: 'server',
}

/** Whose response it is. */
function legOf(question: Question): UacLeg | null {
  return 'leg' in question ? question.leg : null
}

function reasonIn(headers: readonly Header[]): string | null {
  return headers.find(([name]) => name.toLowerCase() === 'reason')?.[1] ?? null
}
