import type { RunKind } from '../conversation.ts'
import type { DialedCall, EndedCall, FailedCall, IncomingCall, ReferredCall } from './call-kinds.ts'
import { headerName, headerValue, show, target } from './checks.ts'
import { bodyText } from './message-view.ts'
import { registry, type AnyHandler } from './registry.ts'
import type { Reply } from './reply.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { encodeText } from './text.ts'
import type { Verdict } from './verdict.ts'

/** Decides an INVITE: `call.dial()`, `fork()`, `answer()`, `reject()`, `acceptReplaces()`, or `proxy()`. */
export type InviteHandler = (call: IncomingCall) => Verdict | Promise<Verdict>
/** Decides a callee's response: `reply.relay()`, `call.reject()`, `call.terminate()`; an early one also `reply.drop()`. */
export type CallReplyHandler = (call: DialedCall, reply: Reply) => Verdict | Promise<Verdict>
/** Decides what follows when nobody took the call: `reply.relay()`, `call.dial()`, `fork()` or `reject()`. */
export type CallFailureHandler = (call: FailedCall, reply: Reply) => Verdict | Promise<Verdict>
/** Decides a transfer: `call.acceptRefer()` or `call.rejectRefer()`. */
export type ReferHandler = (call: ReferredCall) => Verdict | Promise<Verdict>
/** Is told that the call is over. */
export type EndHandler = (call: EndedCall) => void | Promise<void>

export interface OriginateOptions {
  /** Whom to call first: a SIP URI. */
  readonly to: string
  /** Who calls: a SIP URI. */
  readonly from: string
  /** The name that is shown with it. */
  readonly display?: string
  /** Whom to put through when `to` has answered: a SIP URI. */
  readonly connect?: string
  /** The offer for `to`. With `connect` none is needed: the two offer each other what they have. */
  readonly sdp?: string | Uint8Array
  /** Seconds that each may ring; 30 unless told. */
  readonly timeout?: number
  /** Where to send the INVITEs, whatever their Request-URIs say. */
  readonly nextHop?: string
  /** For the INVITE to `to`: `{ 'Alert-Info': '…' }`. */
  readonly headers?: Readonly<Record<string, string | number>>
}

export const b2bua = {
  /**
   * Declares the handler for INVITEs that begin a call. With one in the script every such INVITE comes here first;
   * `return call.proxy()` leaves it to `proxy.onRequest`. All else of the call, its end included, then needs no script.
   */
  onInvite: declare<InviteHandler>('invite', 'onInvite'),
  /** A provisional response with a body, usually a session description: ringback, announcements. `reply` may be changed. */
  onEarlyMedia: declare<CallReplyHandler>('early', 'onEarlyMedia'),
  /** The callee has answered; the caller has not been told yet. `reply` may be changed. */
  onAnswer: declare<CallReplyHandler>('answered', 'onAnswer'),
  /** Every destination has failed; `reply` is the best of their responses. */
  onFailure: declare<CallFailureHandler>('refused', 'onFailure'),
  /** An answered call is over, whoever ended it: `call.side`. */
  onBye: declare<EndHandler>('bye', 'onBye'),
  /** The caller has given up before an answer. */
  onCancel: declare<EndHandler>('calledOff', 'onCancel'),
  /** A party asks to be replaced (RFC 3515). Without a handler it is told 603. */
  onRefer: declare<ReferHandler>('refer', 'onRefer'),

  /**
   * Calls somebody on our own account, and puts a second one through when `connect` is given (click to dial).
   * @returns the call's id, at once: for `b2bua.terminate` and `/admin/calls`
   */
  async originate(options: OriginateOptions): Promise<string> {
    const { to, from, display = '', connect, sdp, timeout = 30, nextHop, headers = {} } = options
    if (connect === undefined && sdp === undefined) {
      throw new ScriptError('originate needs sdp, or connect: somebody to put through')
    }
    if (typeof timeout !== 'number' || !(timeout > 0))
      throw new ScriptError(`${show(timeout)} is not a time in seconds`)
    const given = Object.entries(headers).flatMap(([name, value]) => [
      headerName(name),
      headerValue(name, value),
    ])
    const answer = await services().call(
      'b2bua.originate',
      target(to, 'originate: to'),
      target(from, 'originate: from'),
      headerValue('From', display),
      connect === undefined ? null : target(connect, 'originate: connect'),
      sdp === undefined ? null : bodyText(sdp),
      timeout * 1000,
      nextHop === undefined ? null : target(nextHop, 'originate: nextHop'),
      given.length,
      ...given,
    )
    return answer.string()
  },

  /** Hangs a call up, whatever its state: BYE on both legs, or a refusal. @returns false when there is no such call of ours */
  async terminate(id: string): Promise<boolean> {
    return (await services().call('b2bua.terminate', encodeText(String(id)))).number() === 1
  },

  /**
   * Asks a party of an answered call to call somebody else (RFC 3515).
   * @returns its answer's status: 202 when it will
   */
  async refer(id: string, side: 'caller' | 'callee', to: string): Promise<number> {
    if (side !== 'caller' && side !== 'callee')
      throw new ScriptError(`${show(side)} is neither 'caller' nor 'callee'`)
    return (await services().call('b2bua.refer', encodeText(String(id)), side, target(to, 'refer'))).number()
  },
}

function declare<Handler extends AnyHandler>(kind: RunKind, verb: string): (handler: Handler) => void {
  return (handler) => {
    if (typeof handler !== 'function')
      throw new ScriptError(`b2bua.${verb} needs a function, not ${show(handler)}`)
    registry.add(kind, null, `b2bua.${verb}`, handler)
  }
}
