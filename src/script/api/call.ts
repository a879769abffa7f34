import type { Path } from '../../base/address.ts'
import type { CallInfo, DialVerdict, ProgressVerdict } from '../../core/verdict.ts'
import type { RunKind } from '../conversation.ts'
import { isOfALeg } from '../../sip/b2bua/headers.ts'
import { headerKey } from '../../sip/message/header-fields.ts'
import type { Request } from '../../sip/message/message.ts'
import { formatNameAddr, parseNameAddr } from '../../sip/message/name-addr.ts'
import { formatUri, isSipUri, parseUri } from '../../sip/message/uri.ts'
import { headerValue, reasonText, show, target } from './checks.ts'
import type { CallAnswerOptions, CallForkOptions, DialOptions, SessionTimerOptions } from './call-options.ts'
import type { Contact } from './contact.ts'
import { bodyText } from './message-view.ts'
import { InboundView } from './inbound-view.ts'
import { replyFields } from './given-fields.ts'
import * as rewrite from './rewrite.ts'
import { Destination } from './destination.ts'
import { ScriptError } from './script-error.ts'
import { decodeText, encodeText } from './text.ts'
import { Verdict } from './verdict.ts'

const LATE = 'the callee has its INVITE already: change the reply'

/** What a call is made of in a handler of `b2bua`: the caller's INVITE, and what is to become of it. */
export class ScriptCall extends InboundView {
  readonly #invite: Request
  readonly #info: CallInfo
  readonly #progress: ProgressVerdict[] = []
  #timer: DialVerdict['timer'] = null
  #credentials: DialVerdict['credentials'] = null

  /** @internal */
  constructor(invite: Request, path: Path, info: CallInfo, kind: RunKind) {
    super(invite, path, kind === 'invite' || kind === 'refused' ? undefined : LATE)
    this.#invite = invite
    this.#info = info
  }

  /** As in `/admin/calls` and in the call's record: for `b2bua.terminate(id)`. */
  get id(): string {
    return this.#info.id
  }

  get state(): 'calling' | 'answered' | 'over' {
    return this.#info.state
  }

  /** In `onBye`: who hung up. In `onRefer`: who wants to transfer. Undefined elsewhere. */
  get side(): 'caller' | 'callee' | 'server' | undefined {
    return this.#info.side ?? undefined
  }

  /** In `onRefer`: to whom the other party is to be put through. */
  get referTo(): string | undefined {
    return this.#info.referTo === null ? undefined : decodeText(this.#info.referTo)
  }

  /**
   * In `onInvite`: the INVITE asks to take the place of a party of another call of ours (RFC 3891), the last step of a transfer or
   * a pickup. `acceptReplaces()` lets it; whoever is let takes somebody's call, so know who it is first.
   */
  get replaces(): boolean {
    return this.#info.referTo === null && this.#info.replaces
  }

  /** In `onRefer`: the transferor has talked to the target (an attended transfer, RFC 3891). */
  get referReplaces(): boolean {
    return this.#info.replaces
  }

  // ── What the callee's INVITE will say ───────────────────────────────────────────────────────────────────────────

  override setHeader(name: string, value: string | number): void {
    crossable(name)
    super.setHeader(name, value)
  }

  override addHeader(name: string, value: string | number): void {
    crossable(name)
    super.addHeader(name, value)
  }

  override removeHeader(name: string): boolean {
    crossable(name)
    return super.removeHeader(name)
  }

  /** The user part of From on the callee's leg. */
  setFromUser(user: string): void {
    this.put('set', 'From', rewrite.withUser('From', this.#field('from'), user, 'setFromUser'))
  }

  /** The host of From on the callee's leg, with a port when one is given after a colon. */
  setFromHost(host: string): void {
    this.put('set', 'From', rewrite.withHost('From', this.#field('from'), host, 'setFromHost'))
  }

  /** The display name of From on the callee's leg; '' removes it. */
  setFromDisplay(display: string): void {
    this.put('set', 'From', rewrite.withDisplay('From', this.#field('from'), display, 'setFromDisplay'))
  }

  setToUser(user: string): void {
    this.put('set', 'To', rewrite.withUser('To', this.#field('to'), user, 'setToUser'))
  }

  setToHost(host: string): void {
    this.put('set', 'To', rewrite.withHost('To', this.#field('to'), host, 'setToHost'))
  }

  /** Who the callee sees calling: user part and display name of From, and P-Asserted-Identity when there is one. */
  setCallerId(user: string, display = ''): void {
    this.setFromUser(user)
    this.setFromDisplay(display)
    if (!this.hasHeader('P-Asserted-Identity')) return
    const from = parseNameAddr(this.#invite.headers.first('from') ?? '')
    if (!from.ok) return
    const params = from.value.params.clone()
    params.delete('tag')
    super.setHeader('P-Asserted-Identity', decodeText(formatNameAddr({ ...from.value, params })))
  }

  /**
   * Session timers of both legs (RFC 4028): `expires` seconds are asked of the callee, and given to a caller who knows timers.
   * A side that does not refresh in time is hung up with the other one.
   */
  sessionTimer(expires: number, { minSe = 90, refresher = 'uac' }: SessionTimerOptions = {}): void {
    if (!Number.isInteger(minSe) || minSe < 90)
      throw new ScriptError('minSe is 90 seconds or more (RFC 4028 §5)')
    if (!Number.isInteger(expires) || expires < minSe) {
      throw new ScriptError(`${show(expires)} is no session interval: ${minSe} seconds or more`)
    }
    if (refresher !== 'uac' && refresher !== 'uas') throw new ScriptError("a refresher is 'uac' or 'uas'")
    this.#timer = { expires, minSe, refresher }
  }

  /**
   * With what the challenges (401, 407) of those who are dialled are answered, by digest (RFC 3261 §22.2): of the INVITE, and of
   * later requests on its leg when the same realm asks. They go to nobody else. Without it a challenge is a refusal.
   * @param options.realm the only realm that gets them; unless told, whichever the INVITE is challenged for
   */
  setCredentials(user: string, password: string, { realm }: { readonly realm?: string } = {}): void {
    if (typeof user !== 'string' || user === '' || typeof password !== 'string') {
      throw new ScriptError('setCredentials needs a user and a password')
    }
    if (realm !== undefined && (typeof realm !== 'string' || realm === '')) {
      throw new ScriptError(`${show(realm)} is no realm`)
    }
    this.#credentials = {
      user: headerValue('user', user),
      password: encodeText(password),
      realm: realm === undefined ? null : encodeText(realm),
    }
  }

  /** A provisional response of our own, sent before the verdict is carried out. @param code 101 … 199 */
  progress(code: number, reason?: string, { body, contentType }: CallAnswerOptions = {}): void {
    if (!Number.isInteger(code) || code < 101 || code > 199) {
      throw new ScriptError(`${show(code)} is not a provisional status: 101 to 199`)
    }
    this.#progress.push({ code, reason: reasonText(reason), ...content(body, contentType) })
  }

  // ── Verdicts ────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Call somebody in the caller's name, on a leg of its own.
   * @param uri the Request-URI of the callee's INVITE; a contact is reached as it registered; a gateway's destination gets the
   * user that was called, at its own host
   */
  dial(uri: string | Contact | Destination, options: DialOptions = {}): Verdict {
    return this.fork([uri], options)
  }

  /**
   * Call several, at once or one after another. The first that answers has the call; the others are cancelled. With
   * `await gateway.list('carriers')` and `strategy: 'sequential'` it is failover over a group of gateways.
   */
  fork(targets: readonly (string | Contact | Destination)[], options: CallForkOptions = {}): Verdict {
    if (!Array.isArray(targets) || targets.length === 0) {
      throw new ScriptError('fork needs at least one target: reject(404) or reject(480) when there is none')
    }
    const { timeout = 30, nextHop, headers = 'transparent', strategy = 'parallel', rerouteOn } = options
    if (typeof timeout !== 'number' || !(timeout >= 0))
      throw new ScriptError(`${show(timeout)} is not a time in seconds`)
    if (strategy !== 'parallel' && strategy !== 'sequential') {
      throw new ScriptError(`${show(strategy)} is not a strategy: 'parallel' or 'sequential'`)
    }
    if (headers !== 'transparent' && headers !== 'strict') {
      throw new ScriptError(`${show(headers)} is not a header policy: 'transparent' or 'strict'`)
    }
    const hop = nextHop === undefined ? null : target(nextHop, 'nextHop')
    return new Verdict({
      do: 'dial',
      targets: targets.map((t: string | Contact | Destination) => this.#dialled(t, hop)),
      strategy,
      timeoutMs: timeout === 0 ? null : timeout * 1000,
      rerouteOn: rerouteOn === undefined ? null : [...rerouteOn],
      policy: headers,
      timer: this.#timer,
      credentials: this.#credentials,
      progress: this.#progress,
    })
  }

  /** Answer the caller ourselves: a call with one leg. @param code 200 … 299 */
  answer(code: number, reason?: string, options: CallAnswerOptions = {}): Verdict {
    if (!Number.isInteger(code) || code < 200 || code > 299) {
      throw new ScriptError(`${show(code)} does not answer a call: 200 to 299; use reject`)
    }
    return new Verdict({
      do: 'answer',
      code,
      reason: reasonText(reason),
      headers: fields(options.headers),
      ...content(options.body, options.contentType),
      progress: this.#progress,
    })
  }

  /** Refuse the caller. In `onEarlyMedia` and `onAnswer` the callee is cancelled or hung up.
   * A redirect (3xx) says where to in a Contact. @param code 300 … 699 */
  reject(code: number, reason?: string, { headers }: Pick<CallAnswerOptions, 'headers'> = {}): Verdict {
    if (!Number.isInteger(code) || code < 300 || code > 699) {
      throw new ScriptError(`${show(code)} is not a refusal: 300 to 699 (RFC 3261 §7.2)`)
    }
    return new Verdict({
      do: 'reply',
      code,
      reason: reasonText(reason),
      headers: fields(headers, code < 400),
      body: null,
      contentType: null,
    })
  }

  /** Give the call up: 603 for the caller, BYE or CANCEL for the callee. To end an answered call: `b2bua.terminate(call.id)`. */
  terminate(): Verdict {
    return new Verdict({ do: 'hangup' })
  }

  /**
   * Let the caller take the place that its Replaces names: whom the replaced party talks to is put through to the caller, and the
   * replaced party is hung up. The place of a callee that rings: the call is picked up. `rtpengine.offer(call)` before it puts
   * the media of the two through rtpengine. When there is no such call of ours, the caller gets 481.
   */
  acceptReplaces(): Verdict {
    return new Verdict({ do: 'takeover' })
  }

  /** Leave the INVITE to `proxy.onRequest`: SIPhon is a proxy in this call, with what was changed here. */
  proxy(): Verdict {
    return new Verdict({ do: 'proxy' })
  }

  /**
   * Put the other party through: it stays in the call, the transferor is told and hung up. When the REFER names another call of
   * the transferor's that goes through us, its two parties are connected directly; else somebody new is called.
   * @param to whom to call instead of what the REFER says; a contact of `registrar.lookup` is reached as it registered
   */
  acceptRefer(to?: string | Contact, { nextHop }: Pick<DialOptions, 'nextHop'> = {}): Verdict {
    const uri = typeof to === 'object' ? to.uri : to
    return new Verdict({
      do: 'transfer',
      target: uri === undefined ? null : target(uri, 'acceptRefer'),
      nextHop: nextHop === undefined ? null : target(nextHop, 'nextHop'),
      ...(typeof to === 'object' ? { contact: to.reference } : {}),
    })
  }

  /** @param code 300 … 699; 603 when there is no handler at all */
  rejectRefer(code = 603, reason?: string): Verdict {
    return this.reject(code, reason)
  }

  /** Leave the decision to the next matching handler, in order of declaration. */
  next(): Verdict {
    return new Verdict(null)
  }

  #dialled(to: string | Contact | Destination, hop: string | null): DialVerdict['targets'][number] {
    if (typeof to === 'string') return { uri: target(to, 'dial'), nextHop: hop }
    const route = Destination.routeOf(to)
    if (route !== undefined) {
      return { uri: this.#calledAt(to.uri), nextHop: hop ?? route.hop, gateway: route.key }
    }
    const { uri, reference } = to as Contact
    return { uri: target(uri, 'dial'), nextHop: hop, contact: reference }
  }

  /** Who was called, at a gateway: not our own host, which would mean nothing there. */
  #calledAt(gateway: string): string {
    const [called, there] = [parseUri(this.#invite.uri), parseUri(target(gateway, 'dial'))]
    if (!there.ok || !isSipUri(there.value)) return target(gateway, 'dial')
    const number = /^tel:([^;]+)/i.exec(this.#invite.uri)?.[1] ?? null
    const user = called.ok && isSipUri(called.value) ? called.value.user : number
    return formatUri({ ...there.value, user })
  }

  #field(name: string): string | undefined {
    return this.#invite.headers.first(name)
  }
}

/** Refuses what holds the callee's leg together; From and To have setters and may be set as a whole. */
function crossable(name: string): void {
  const key = headerKey(String(name))
  if (key !== 'from' && key !== 'to' && isOfALeg(key)) {
    throw new ScriptError(`${show(name)} is the leg's own: the server writes it`)
  }
}

function content(
  body: string | Uint8Array | undefined,
  contentType = 'application/sdp',
): { body: string | null; contentType: string | null } {
  if (body === undefined) return { body: null, contentType: null }
  return { body: bodyText(body), contentType: headerValue('Content-Type', contentType) }
}

/** @param redirects Contact says where to (§21.3) */
function fields(headers: CallAnswerOptions['headers'], redirects = false): [string, string][] {
  return replyFields(headers, (name) => {
    if (!redirects || headerKey(name) !== 'contact') crossable(name)
  })
}
