import type { Path } from '../../base/address.ts'
import type { Clock } from '../../base/clock.ts'
import { digestHash } from '../../base/digest-hash.ts'
import type { Identifiers } from '../../base/identifiers.ts'
import { LinkedSet } from '../../base/linked-set.ts'
import { DigestClient } from '../../sip/auth/digest-client.ts'
import type { Found, Side } from '../../sip/b2bua/bridge-user.ts'
import type { Outcome } from '../../sip/b2bua/events.ts'
import type { DialPlan } from '../../sip/b2bua/plan.ts'
import { payloadOf } from '../../sip/b2bua/headers.ts'
import { UasLeg } from '../../sip/b2bua/uas-leg.ts'
import { DEFAULT_TIMER } from '../../sip/dialog/session-timer.ts'
import { HeaderFields } from '../../sip/message/header-fields.ts'
import { Request } from '../../sip/message/message.ts'
import { createTimers, type TimerBase } from '../../sip/transaction/timers.ts'
import type { Spine } from '../../spine/spine.ts'
import type { ServerTransaction, TransactionLayer } from '../../stack/transaction-layer.ts'
import type { Flow, TransportPort } from '../../stack/transport.ts'
import type { Own } from '../../sip/proxy/own.ts'
import type { Ways } from '../binding-ways.ts'
import type { GatewayPort } from '../branch-watch.ts'
import type { CallTracker } from '../calls.ts'
import type { Exchange } from '../exchange.ts'
import type { FlowTokens } from '../flow-tokens.ts'
import { DEFAULT_FAILOVER, type FailoverTimes } from '../next-targets.ts'
import type { ProxyDialogs } from '../proxy-dialogs.ts'
import type { Resolver } from '../target.ts'
import type { Decision, Router } from '../verdict.ts'
import { ContactWays } from './contact-ways.ts'
import { Egress } from './egress.ts'
import { LegTable } from './leg-table.ts'
import type { MediaRelay } from './call-media.ts'
import { type CallWorld, LiveCall } from './live-call.ts'
import { readReplaces, replacesIn } from './replaces.ts'
import { Performer } from './performer.ts'

export interface B2buaOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  readonly layer: () => Pick<TransactionLayer, 'request'>
  readonly router: Router
  readonly resolver: Resolver
  /** The connection a registered contact is reached by (RFC 5626). */
  readonly flowFor: (uri: string, called?: string) => Flow | undefined
  readonly own: Own
  readonly ways?: Ways
  readonly flowTokens?: FlowTokens
  readonly failover?: FailoverTimes
  /** Told what became of calls to gateways. */
  readonly gateways?: GatewayPort
  readonly calls: CallTracker
  /** Absent: none is configured. */
  readonly media?: MediaRelay
  readonly timers?: Partial<TimerBase>
  /** 0 … 1: spreads the waits after a 491. */
  readonly chance: () => number
}

/** A call on our own account. */
export interface Origination {
  /** Whom to call first. */
  readonly plan: DialPlan
  /** Whom to put through when that has answered; null: nobody, the call has one leg. */
  readonly connect: DialPlan | null
}

/** The back-to-back user agent: the transaction user of every call that a script has given to it. */
export class B2buaCore {
  readonly #o: B2buaOptions
  readonly #performer: Performer
  readonly #legs = new LegTable()
  /** Each is the `owner` of the caller's server transaction while it may be cancelled. */
  readonly #calls = new LinkedSet<LiveCall>()
  readonly #contacts: ContactWays
  readonly #world: CallWorld

  constructor(options: B2buaOptions) {
    this.#o = options
    const { clock, identifiers, spine, transport, layer, resolver, router } = options
    this.#contacts = new ContactWays(options)
    const egress = new Egress({
      clock,
      identifiers,
      spine,
      transport,
      layer,
      resolver,
      pinned: this.#contacts.pinned,
      flowFor: (uri, callId) => options.flowFor(uri, this.#legs.called(callId)),
      failover: options.failover ?? DEFAULT_FAILOVER,
    })
    this.#performer = new Performer({ clock, spine, transport, egress, chance: options.chance })
    let lastId = 0
    this.#world = {
      clock,
      spine,
      router,
      out: this.#performer.out,
      timers: createTimers(options.timers),
      legs: this.#legs,
      contacts: this.#contacts,
      gateways: options.gateways ?? null,
      nextId: () => ++lastId,
      newTag: () => identifiers.tag(),
      signer: ({ user, password, realm }) =>
        new DigestClient({
          account: { user, secret: { password }, realm },
          hash: digestHash,
          chance: () => identifiers.callId(),
        }),
      newCallId: () => identifiers.callId(),
      input: (work) => this.#performer.input(work),
      forget: (call) => this.#forget(call),
      media: options.media ?? null,
      remoteOf: (leg) => this.#performer.flowOf(leg, leg.ref)?.path.remote ?? null,
      referred: (refer) => this.#referred(refer),
      replaced: (invite) => this.#replaced(invite),
    }
  }

  /** Calls of which a leg is left; those whose last messages are awaited included. */
  get calls(): number {
    return this.#calls.size
  }

  /** Calls that are not over: what a drain waits for. */
  get busy(): number {
    let busy = 0
    for (const { bridge } of this.#calls) if (bridge.state !== 'over') busy++
    return busy
  }

  get legs(): number {
    return this.#legs.size
  }

  get dialogs(): number {
    return this.#legs.dialogs
  }

  /** Timers and transactions that legs hold. */
  get held(): number {
    return this.#performer.held + this.#contacts.size
  }

  /** The Call-ID under which a leg's messages are traced. */
  correlation(callId: string): string {
    return this.#legs.correlation(callId)
  }

  /** A script gives us a call: `dial` or `answer`. */
  take(exchange: Exchange, decision: Decision): void {
    const { transaction, request, flow, receivedAt } = exchange
    const { verdict } = decision
    const policy = (verdict.do === 'dial' ? verdict.timer : null) ?? DEFAULT_TIMER
    const refusal = UasLeg.refusal(request, policy, verdict.do === 'takeover')
    const { call } = exchange
    if (refusal !== null || call === null) {
      exchange.reply(refusal?.status ?? 500, 'server', { headers: refusal?.headers ?? [] })
      return
    }
    exchange.handOver()
    const live = new LiveCall(this.#world, call, request, flow.path, receivedAt)
    this.#calls.add(live)
    transaction.owner = live
    this.#contacts.called(request, flow)
    const name = this.#performer.name(transaction, () => (transaction.owner = null))
    this.#performer.input(() => {
      live.bridge.incoming(request, name, policy)
      try {
        live.carryOut(decision)
      } catch (error) {
        // Header text that would break the message: the script's mistake.
        if (!(error instanceof TypeError)) throw error
        live.bridge.refuse({ status: 500, reason: 'Script Error', content: null, headers: [] })
      }
    })
  }

  /**
   * A request within a dialog. False: the dialog is none of ours, or not yet ours.
   * @param before the dialogs in which the request passes a proxy first, ourselves: a script may proxy a call to us, or we call
   *   somebody through our own proxy. Null: it came by no Route of the proxy.
   */
  receive(
    request: Request,
    flow: Flow,
    accept: () => ServerTransaction,
    before: Pick<ProxyDialogs, 'find'> | null,
  ): boolean {
    const belongs = this.#find(request)
    if (belongs === null || before?.find(request) !== undefined) return false
    const name = this.#performer.name(accept())
    this.#contacts.heard(request.callId, flow)
    this.#performer.input(() => {
      if (belongs.session !== null) belongs.session.receive(request, name)
      else this.#performer.answer(name, request, 481)
    })
    return true
  }

  /** The ACK of a 2xx. False: not ours. */
  receiveAck(ack: Request): boolean {
    const belongs = this.#find(ack)
    if (belongs === null) return false
    this.#performer.input(() => belongs.session?.acked(ack))
    return true
  }

  /** A CANCEL for the INVITE of one of our calls. False: not ours. */
  cancel(invite: ServerTransaction, cancel: Request): boolean {
    const live = invite.owner
    if (!(live instanceof LiveCall)) return false
    this.#performer.input(() => live.bridge.cancelled(payloadOf(cancel).headers))
    return true
  }

  /** Calls somebody on our own account. @returns the call's id */
  originate({ plan, connect }: Origination): string {
    const callId = this.#o.identifiers.callId()
    const fields = new HeaderFields()
    fields.append('From', plan.from)
    fields.append('To', plan.to)
    fields.append('Call-ID', callId)
    fields.append('CSeq', '1 INVITE')
    const invite = new Request('INVITE', plan.targets[0]?.uri ?? '', fields)
    const us = this.#o.transport.sentBy('udp')
    const path: Path = { protocol: 'udp', local: us, remote: us }
    const call = this.#o.calls.begin(invite, path)
    // The first leg has the Call-ID under which the whole is recorded and traced.
    let first: string | null = callId
    const world: CallWorld = {
      ...this.#world,
      newCallId: () => {
        const id = first ?? this.#o.identifiers.callId()
        first = null
        return id
      },
    }
    const live = new LiveCall(world, call, invite, path, this.#o.clock.now())
    this.#calls.add(live)
    live.onSettled = (answered) => {
      if (!answered || connect === null) return
      const session = [...live.bridge.legs].find((leg) => leg.session !== null)?.session
      if (session === undefined || session === null) return
      live.bridge.transfers.connect(session, connect, (outcome) => {
        if (outcome.status >= 300) live.terminate()
      })
    }
    this.#performer.input(() => live.bridge.dial(plan))
    return call.id
  }

  /** Hangs a call up. False: there is none of ours with this id. */
  terminate(id: string): boolean {
    const call = this.#o.calls.find(id)
    if (call?.hangUp == null) return false
    call.hangUp()
    return true
  }

  /** Asks a party to call somebody else. False: there is no such call of ours. */
  refer(id: string, side: Side, target: string, done: (outcome: Outcome) => void): boolean {
    for (const live of this.#calls) {
      if (live.call.id !== id) continue
      this.#performer.input(() => live.bridge.transfers.refer(side, target, done))
      return true
    }
    return false
  }

  /** At the end of a drain: every call is hung up and has its record. */
  terminateAll(): number {
    const { busy } = this
    for (const live of [...this.#calls]) this.#performer.input(() => live.terminate())
    return busy
  }

  /** Forgets everything, leaves no timer, sends nothing. */
  close(): void {
    this.#performer.close()
    this.#calls.clear()
    this.#contacts.clear()
    this.#legs.clear()
  }

  #find(request: Request): ReturnType<LegTable['find']> {
    const { toTag, fromTag } = request
    return toTag === undefined ? null : this.#legs.find(request.callId, toTag, fromTag ?? '')
  }

  #forget(call: LiveCall): void {
    this.#calls.delete(call)
  }

  /** The dialog of ours that a REFER's Replaces names: the transferor's other call. */
  #referred(refer: Request): Found | null {
    const text = replacesIn(refer)
    if (text === null) return null
    const { callId, to, from } = readReplaces(text)
    // To and from are as the transfer target sees them; the target is us.
    const found = this.#legs.find(callId, to, from) ?? this.#legs.find(callId, from, to)
    return found?.session?.confirmed ? { bridge: found.bridge, session: found.session } : null
  }

  /** RFC 3891 §3: one that is answered, or that we have begun; an answered one not for those who want none. */
  #replaced(invite: Request): Found | number {
    const { callId, to, from, earlyOnly } = readReplaces(invite.headers.first('replaces') ?? '')
    const found = this.#legs.find(callId, to, from)
    if (found === null || found.session === null || !found.session.alive) return 481
    const { bridge, session } = found
    if (session.confirmed) return earlyOnly ? 486 : { bridge, session }
    return bridge.rings(session) ? { bridge, session } : 481
  }
}
