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
import { UacLeg } from '../../sip/b2bua/uac-leg.ts'
import type { UasLeg } from '../../sip/b2bua/uas-leg.ts'
import type { Request, Response } from '../../sip/message/message.ts'
import type { Spine } from '../../spine/spine.ts'
import { type GatewayPort, rerouteCause } from '../branch-watch.ts'
import { type Cause, initiatorOf, resultOf } from '../call-result.ts'
import type { Call } from '../calls.ts'
import { editedRequest } from '../edits.ts'
import type { CallHandlerKind, CallInfo, Decision, Job, Outcome as Decided, Router } from '../verdict.ts'
import type { ContactWays } from './contact-ways.ts'
import { CallMedia, type MediaRelay } from './call-media.ts'
import { LegBooks } from './leg-books.ts'
import { outcomeOf, planFor } from './plans.ts'
import { type Asked, referReply, referTo, replyTo } from './replies.ts'
import { seenAs } from './seen.ts'
import type { LegTable } from './leg-table.ts'

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
  readonly #legs: LegBooks
  readonly #media: CallMedia
  readonly #asked: Asked
  #ringing = false
  /** Where the leg went that refused last: it may be over when the call is. */
  #refusedBy: { readonly host: string; readonly port: number } | null = null
  #ended: Side | 'server' | null = null
  /** Told once that the call is answered, or why not. */
  onSettled: ((answered: boolean, outcome: Outcome) => void) | null = null

  constructor(world: CallWorld, call: Call, invite: Request, path: Path, receivedAt: number) {
    this.#w = world
    this.call = call
    this.#invite = invite
    this.#path = path
    this.#receivedAt = receivedAt
    this.#legs = new LegBooks(world)
    this.#media = new CallMedia(world.media, call.callId, world.input)
    const bridge = new Bridge(world, this)
    this.bridge = bridge
    this.#asked = {
      invite,
      crossing: (headers) => bridge.crossing(headers),
      locate: (targets) => world.contacts.locate(targets, call.ruri),
      referred: world.referred,
    }
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
    if (verdict.do === 'dial')
      this.bridge.dial(planFor(this.#invite, decision.edits, verdict, this.#asked.locate))
    else {
      const { code, reason, headers, body, contentType } = verdict
      this.bridge.answer(outcomeOf(code, reason, headers, body, contentType))
    }
  }

  wants(about: Question['about']): boolean {
    return this.#w.router.handles(HANDLERS[about], 'INVITE')
  }

  ask(question: Question, done: (reply: Reply) => void): void {
    if (question.about === 'refer') return this.#askOfRefer(question, done)
    const leg = question.about === 'failure' ? null : question.leg
    const response = seenAs(this.#invite, question.response, leg)
    const branch = leg?.localTag ?? null
    const before = this.#media.awaited(branch)
    this.#consult(HANDLERS[question.about], response, this.#info(null, null), (decided) => {
      const reply = replyTo(question, decided, this.#asked)
      if (decided !== null && reply.do === 'pass') this.#media.passed(branch, before)
      done(reply)
    })
  }

  #askOfRefer({ side, ask: { request } }: Question & { about: 'refer' }, done: (reply: Reply) => void): void {
    this.#consult('refer', null, this.#info(side, request), (decided) =>
      done(referReply(request, decided, this.#asked)),
    )
  }

  /** @param done told what the script has decided; null: there was no room to ask it. Later, in either case */
  #consult(
    kind: CallHandlerKind,
    response: Response | null,
    info: CallInfo,
    done: (decided: Decided | null) => void,
  ): void {
    const { input, clock } = this.#w
    const asked = this.#run(kind, response, info, (decided) => input(() => done(decided)))
    if (!asked) clock.startTimer(0, () => input(() => done(null)))
  }

  relay(crossing: Crossing, done: (content: Content | null) => void): void {
    this.#media.relay(crossing, done)
  }

  held(branch: string): boolean {
    return this.#media.awaited(branch) !== null
  }

  onPaired(pair: number, kept: boolean): void {
    this.#media.paired(pair, kept)
  }

  newCallId(): string {
    return this.#w.newCallId()
  }

  onLeg(leg: UasLeg | UacLeg): void {
    this.#w.legs.add(leg, this.call.callId, this.call.ruri)
    if (leg.callId !== this.call.callId) this.call.legs = [...this.call.legs, leg.callId]
    if (leg instanceof UacLeg && leg.calling) {
      // Of a transfer that is refused nobody is put through.
      if (!this.call.answered) this.call.bParty = leg.target.uri
      this.#w.contacts.begin(leg)
      this.#legs.begin(leg)
    }
  }

  onLegDecided(leg: UacLeg, by: RefusedBy | null, status: number): void {
    if (by === null) this.call.bParty = leg.target.uri
    this.#legs.decided(leg, by, status)
    if (by !== null && by !== 'cancelled') this.#refusedBy = this.#w.remoteOf(leg) ?? this.#refusedBy
  }

  onLegOver(leg: UasLeg | UacLeg): void {
    this.#w.legs.remove(leg)
    this.#w.contacts.end(leg.callId)
    this.#legs.close(leg)
  }

  onLegMoved(leg: UasLeg | UacLeg): void {
    this.#legs.close(leg)
  }

  onRinging(leg: UacLeg, status: number): void {
    this.#ringing = true
    this.call.ringing = true
    this.#legs.ringing(leg, status)
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
    this.#unanswered()
    this.call.fail(
      resultOf(meant, cause, this.#ringing),
      outcome.status,
      initiatorOf(cause),
      reasonIn(outcome.headers),
    )
    this.onSettled?.(false, outcome)
  }

  onCancelled(headers: readonly Header[]): void {
    this.#unanswered()
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

  /** The record of a call that nobody has answered names where it went last. */
  #unanswered(): void {
    const lasting = this.#legs.legs.map((leg) => this.#w.remoteOf(leg)).findLast((r) => r !== null)
    const remote = lasting ?? this.#refusedBy
    if (remote !== null) this.call.routedTo(remote.host, remote.port)
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
    const target = refer === null ? null : referTo(refer)
    return {
      id: this.call.id,
      state: this.bridge.state,
      side: side ?? this.#ended,
      referTo: target?.uri ?? null,
      replaces: target?.replaces ?? false,
    }
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

function reasonIn(headers: readonly Header[]): string | null {
  return headers.find(([name]) => name.toLowerCase() === 'reason')?.[1] ?? null
}
