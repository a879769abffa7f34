import type { Decision, Edit } from '../../core/verdict.ts'
import type { Path } from '../../base/address.ts'
import type { Request } from '../../sip/message/message.ts'
import { parseUri } from '../../sip/message/uri.ts'
import { finalStatus, headerValue, reasonText, show, target, writable } from './checks.ts'
import type { Contact } from './contact.ts'
import { Destination } from './destination.ts'
import { gateway } from './gateway.ts'
import { inNetworks } from './guards.ts'
import { InboundView } from './inbound-view.ts'
import { bodyText } from './message-view.ts'
import { type GivenFields, replyFields } from './given-fields.ts'
import * as rewrite from './rewrite.ts'
import { ScriptError } from './script-error.ts'
import { decodeText, encodeText } from './text.ts'
import { Verdict } from './verdict.ts'

export interface ReplyOptions {
  readonly headers?: GivenFields
  readonly body?: string | Uint8Array
  /** Of `body`; `text/plain` unless told. */
  readonly contentType?: string
}

export interface ForkOptions {
  /** `parallel` (unless told): all at once, the first 2xx wins. `sequential`: one after another, each after the last failed. */
  readonly strategy?: 'parallel' | 'sequential'
}

/** A SIP request in a handler. What a handler changes is sent when its verdict is carried out, not before. */
export class ScriptRequest extends InboundView {
  readonly #request: Request
  readonly #routeConsumed: boolean
  #recordRoute = false
  #addPath: 'if supported' | 'force' | null = null
  #natedContacts = false

  /** @internal @param frozen why the request cannot be changed any more; undefined when it can */
  constructor(request: Request, path: Path, routeConsumed: boolean, frozen?: string) {
    super(request, path, frozen)
    this.#request = request
    this.#routeConsumed = routeConsumed
  }

  /** As sent; methods are case-sensitive (RFC 3261 §7.1). */
  get method(): string {
    return this.#request.method
  }

  /** True when To has a tag: the request belongs to a dialog (§12.2). */
  get inDialog(): boolean {
    return this.#request.toTag !== undefined
  }

  /** 0 … 255, as received. Undefined when the sender gave none (RFC 2543). */
  get maxForwards(): number | undefined {
    const text = this.#request.headers.first('max-forwards')
    return text === undefined ? undefined : Number(text)
  }

  /** Seconds that a REGISTER asks for: the first Contact's `expires`, else Expires (§10.3). Undefined when neither is there. */
  get contactExpires(): number | undefined {
    const contact = this.#request.headers.first('contact')
    const own = contact === undefined ? null : /;\s*expires\s*=\s*"?(\d+)/i.exec(contact)
    const text = own?.[1] ?? this.#request.headers.first('expires')
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
  }

  /** The event package of SUBSCRIBE and NOTIFY, without parameters (RFC 6665 §8.2.1). */
  get event(): string | undefined {
    return this.getHeader('Event')?.split(';')[0]?.trim()
  }

  /**
   * Answer the request and be done with it.
   * @param code 200 … 699
   * @param reason the standard phrase when not given
   */
  reply(code: number, reason?: string, options: ReplyOptions = {}): Verdict {
    const headers = replyFields(options.headers, (name) => writable(name, undefined, ''))
    const body = options.body === undefined ? null : bodyText(options.body)
    const type = body === null ? null : headerValue('Content-Type', options.contentType ?? 'text/plain')
    return new Verdict({
      do: 'reply',
      code: finalStatus(code),
      reason: reasonText(reason),
      headers,
      body,
      contentType: type,
    })
  }

  /**
   * Forward the request (§16.6).
   * @param to a SIP URI or a destination of a gateway group to send it to, without changing the Request-URI; when not given,
   * the Route set or the Request-URI decides. A contact of `registrar.lookup` becomes the Request-URI and is reached as it
   * registered: by its Path, its flow.
   */
  relay(to?: string | Contact | Destination): Verdict {
    const route = Destination.routeOf(to)
    if (route !== undefined) return new Verdict({ do: 'relay', target: route.hop, gateway: route.key })
    if (typeof to === 'object') return this.fork([to])
    return new Verdict({ do: 'relay', target: to === undefined ? null : target(to, 'relay') })
  }

  /**
   * Forward the request to several targets (§16.7 chooses the answer). A URI or contact becomes the Request-URI; a
   * destination of a gateway group is the next hop of the request as it is. Contacts of `registrar.lookup` are reached as
   * they registered, by Path and flow; of several flows of one device the first is tried, and the next when that one has
   * failed (RFC 5626 §7), so that no device rings twice. A sequential fork goes on from a gateway's destination only after a
   * failure that its group's `reroute_causes` name, and from any other target after every one below 600.
   */
  fork(targets: readonly (string | Contact | Destination)[], options: ForkOptions = {}): Verdict {
    if (!Array.isArray(targets) || targets.length === 0) {
      throw new ScriptError('fork needs at least one target: reply(404) or reply(480) when there is none')
    }
    const strategy = options.strategy ?? 'parallel'
    if (strategy !== 'parallel' && strategy !== 'sequential') {
      throw new ScriptError(`${show(strategy)} is not a strategy: 'parallel' or 'sequential'`)
    }
    const uris: string[] = []
    const contacts: (string | null)[] = []
    const gateways: (string | null)[] = []
    for (const to of targets as readonly (string | Contact | Destination)[]) {
      const route = Destination.routeOf(to)
      uris.push(route?.hop ?? target(typeof to === 'string' ? to : to.uri, 'fork'))
      contacts.push(
        route !== undefined || typeof to === 'string' ? null : ((to as Contact).reference ?? null),
      )
      gateways.push(route?.key ?? null)
    }
    return new Verdict({
      do: 'fork',
      targets: uris,
      ...(contacts.some((contact) => contact !== null) && { contacts }),
      ...(gateways.some((key) => key !== null) && { gateways }),
      strategy,
    })
  }

  /** Leave the decision to the next matching handler, in order of declaration. */
  next(): Verdict {
    return new Verdict(null)
  }

  /** Stay in the path of the dialog that this request starts: adds our Record-Route (§16.6 step 4). */
  recordRoute(): void {
    this.#recordRoute = true
  }

  /** @internal `recordRoute()` was called. */
  get recordRouted(): boolean {
    return this.#recordRoute
  }

  /**
   * Be in the way of all requests to the contacts that this REGISTER registers elsewhere (RFC 3327): adds our Path when it
   * is relayed. From a phone, its Path names the flow (RFC 5626 §5.2), so that they reach it through its NAT; a phone that
   * asks for outbound is told `ob`. A phone that does not say that it knows Path gets 421 (§5.2), unless `force`.
   */
  addPath(options: { readonly force?: boolean } = {}): void {
    if (this.method !== 'REGISTER') throw new ScriptError(`addPath needs a REGISTER; this is ${this.method}`)
    this.#addPath = options.force === true ? 'force' : 'if supported'
  }

  /**
   * Before `registrar.save`: contacts with another address than the REGISTER came from are behind a NAT; what is for them
   * goes to where it came from, by the same socket. Their URIs stay as they are.
   */
  fixNatedRegister(): void {
    if (this.method !== 'REGISTER')
      throw new ScriptError(`fixNatedRegister needs a REGISTER; this is ${this.method}`)
    this.#natedContacts = true
  }

  /**
   * Replaces host and port in Contact by where the request came from, when they differ: later requests of the dialog then
   * come through the NAT. A Contact that is no SIP URI, or several of them, stay as they are.
   */
  fixNatedContact(): void {
    const fixed = rewrite.natedContact(this.#request.headers.all('contact'), this.sourceIp, this.sourcePort)
    if (fixed !== null) this.setHeader('Contact', decodeText(fixed))
  }

  /** @internal */
  get natedContacts(): boolean {
    return this.#natedContacts
  }

  /**
   * True when the request came along a Record-Route of ours, which has been taken off already (§16.4): relay it.
   * False: it has no business here, or its Route leads elsewhere.
   */
  looseRoute(): boolean {
    return this.#routeConsumed
  }

  /** Replaces the Request-URI. @throws ScriptError when it is not a URI */
  setRuri(uri: string): void {
    const text = encodeText(String(uri))
    const parsed = parseUri(text)
    if (!parsed.ok) throw new ScriptError(`setRuri: ${show(uri)} is not a URI: ${parsed.fault.what}`)
    this.setUri(text)
  }

  /** Replaces the user part of the Request-URI. */
  setRuriUser(user: string): void {
    this.setUri(rewrite.uriWithUser(this.#request.uri, user, 'setRuriUser', 'the Request-URI'))
  }

  /** Replaces the host of the Request-URI, and its port when one is given after a colon. */
  setRuriHost(host: string): void {
    this.setUri(rewrite.uriWithHost(this.#request.uri, host, 'setRuriHost', 'the Request-URI'))
  }

  /** Whether the request came from one of these networks: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`. */
  sourceIpIn(networks: readonly string[]): boolean {
    return inNetworks(this.sourceIp, networks)
  }

  /** Whether the request came from an address of this gateway group. @see gateway.containsSource */
  fromGateway(group: string): boolean {
    return gateway.containsSource(group, this.sourceIp)
  }

  /**
   * Replaces the URI in From; display name and tag stay. Dialogs are matched by tags (RFC 3261 §12), so this breaks none that
   * follows the RFC; but the caller gets the new URI back in responses, and phones of RFC 2543 compare it.
   */
  setFromUri(uri: string): void {
    this.put('set', 'From', rewrite.withUri('From', this.#request.headers.first('from'), uri, 'setFromUri'))
  }

  /** Replaces the URI in To, as `setFromUri` does in From. The Request-URI is another thing: `setRuri`. */
  setToUri(uri: string): void {
    this.put('set', 'To', rewrite.withUri('To', this.#request.headers.first('to'), uri, 'setToUri'))
  }

  /** Replaces the display name in From; null or '' removes it. */
  setFromDisplay(display: string | null): void {
    const from = this.#request.headers.first('from')
    this.put('set', 'From', rewrite.withDisplay('From', from, display, 'setFromDisplay'))
  }

  /** Replaces the display name in To; null or '' removes it. */
  setToDisplay(display: string | null): void {
    const to = this.#request.headers.first('to')
    this.put('set', 'To', rewrite.withDisplay('To', to, display, 'setToDisplay'))
  }

  /** Replaces the URI in Contact, its parameters excepted. @throws ScriptError when there is not exactly one */
  setContactUri(uri: string): void {
    this.put(
      'set',
      'Contact',
      rewrite.withUri('Contact', this.#contact('setContactUri'), uri, 'setContactUri'),
    )
  }

  /** Replaces the user part in Contact. @throws ScriptError when there is not exactly one */
  setContactUser(user: string): void {
    const contact = this.#contact('setContactUser')
    this.put('set', 'Contact', rewrite.withUser('Contact', contact, user, 'setContactUser'))
  }

  /** Makes the request pass a proxy first: adds a Route before the others (§16.6 step 6). `lr` is added when it is missing. */
  prependRoute(uri: string): void {
    this.put('prepend', 'Route', rewrite.routeTo(uri))
  }

  #contact(verb: string): string | undefined {
    if (this.#request.headers.count('contact') > 1) {
      throw new ScriptError(`${verb}: the message has no single Contact to change`)
    }
    return this.#request.headers.first('contact')
  }

  /** @internal */
  override decide(verdict: Decision['verdict'], edits?: readonly Edit[]): Decision {
    const decision = super.decide(verdict, edits)
    const path = this.#addPath === null ? {} : { addPath: this.#addPath }
    return { ...decision, recordRoute: this.#recordRoute, ...path }
  }
}

/** A request that has been forwarded: it can be read, and the reply decided upon. */
export type ForwardedRequest = Omit<
  ScriptRequest,
  | 'reply'
  | 'relay'
  | 'fork'
  | 'recordRoute'
  | 'recordRouted'
  | 'looseRoute'
  | 'addPath'
  | 'fixNatedRegister'
  | 'fixNatedContact'
  | 'setHeader'
  | 'addHeader'
  | 'removeHeader'
  | 'setBody'
  | 'setRuri'
  | 'setRuriUser'
  | 'setRuriHost'
  | 'ensureHeader'
  | 'removeHeadersMatching'
  | 'removeFromHeaderList'
  | 'setFromUri'
  | 'setToUri'
  | 'setFromDisplay'
  | 'setToDisplay'
  | 'setContactUri'
  | 'setContactUser'
  | 'prependRoute'
  | 'demands'
  | 'proven'
  | 'received'
  | 'spend'
>
