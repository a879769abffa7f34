import { type Address, formatAddress } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { buildResponse } from '../sip/message/build.ts'
import { HeaderFields } from '../sip/message/header-fields.ts'
import { type Message, Request, type Response } from '../sip/message/message.ts'
import { parseNameAddr } from '../sip/message/name-addr.ts'
import { isSipUri, parseUri } from '../sip/message/uri.ts'
import type { Spine } from '../spine/spine.ts'
import {
  type ClientTransaction,
  type ClientUser,
  type ServerTransaction,
  TransactionLayer,
  type TransactionUser,
} from '../stack/transaction-layer.ts'
import type { Flow, Target, TransportPort } from '../stack/transport.ts'
import type { PhoneLine, RequestParts } from './phone-line.ts'
import { type Call, IncomingCall, OutgoingCall } from './soft-call.ts'

export interface SoftPhoneOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  /** The user part of its address-of-record. */
  readonly user: string
  readonly domain: string
  /** Where it listens, over UDP. */
  readonly address: Address
  /** Where it sends what begins a dialog. */
  readonly server: Address
  /** Answers or refuses a call, at once or later. */
  readonly onCall: (call: IncomingCall) => void
}

/** A telephone without sound: registers, calls, rings, answers, hangs up. For demonstrations and tests. */
export class SoftPhone implements PhoneLine, TransactionUser {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly address: Address
  readonly aor: string
  readonly contact: string
  readonly layer: TransactionLayer
  readonly #o: SoftPhoneOptions
  /** By Call-ID and local tag. */
  readonly #calls = new Map<string, Call>()
  readonly #registrationCallId: string
  #registrationCSeq = 0
  #unanswered = 0

  constructor(options: SoftPhoneOptions) {
    const { clock, identifiers, spine, transport, user, domain, address } = options
    this.#o = options
    this.clock = clock
    this.identifiers = identifiers
    this.address = address
    this.aor = `sip:${user}@${domain}`
    this.contact = `sip:${user}@${formatAddress(address)}`
    this.layer = new TransactionLayer({ clock, identifiers, spine, transport, user: this })
    this.#registrationCallId = identifiers.callId()
  }

  /** Calls that have not ended. */
  get calls(): readonly Call[] {
    return [...this.#calls.values()]
  }

  /** No call is up, and every request has got its final response. */
  get quiet(): boolean {
    return this.#calls.size === 0 && this.#unanswered === 0
  }

  /** A message from the transport layer. */
  onMessage(message: Message, flow: Flow): void {
    this.layer.onMessage(message, flow)
  }

  /**
   * Registers this phone's contact, or removes it with `expires` 0.
   *
   * @param expires seconds
   * @param then told once of the final status: 408 and 503 stand for a timeout and a failed transport
   */
  register(
    expires: number,
    then: (status: number, response: Response | null) => void = () => undefined,
  ): void {
    const request = this.request('REGISTER', {
      uri: `sip:${this.#o.domain}`,
      from: `<${this.aor}>;tag=${this.identifiers.tag()}`,
      to: `<${this.aor}>`,
      callId: this.#registrationCallId,
      cseq: ++this.#registrationCSeq,
      routes: [],
    })
    request.headers.append('Expires', String(expires))
    let final: Response | null = null
    this.send(request, {
      onResponse: (response) => {
        if (response.status < 200 || final !== null) return
        final = response
        then(response.status, response)
      },
      onEnd: (reason) => {
        if (final === null) then(reason === 'timeout' ? 408 : 503, null)
      },
    })
  }

  /** Calls a URI. */
  invite(target: string): OutgoingCall {
    const call = new OutgoingCall(this, target)
    this.#calls.set(key(call.callId, call.localTag), call)
    call.start()
    return call
  }

  /** Forgets everything and leaves no timer. */
  close(): void {
    this.#calls.clear()
    this.layer.close()
  }

  request(method: string, parts: RequestParts): Request {
    const { host, port } = this.#o.transport.sentBy('udp')
    const headers = new HeaderFields()
    const via = `SIP/2.0/UDP ${formatAddress({ host, port })};rport;branch=${this.identifiers.branch()}`
    headers.append('Via', via)
    headers.append('Max-Forwards', '70')
    for (const route of parts.routes) headers.append('Route', route)
    headers.append('From', parts.from)
    headers.append('To', parts.to)
    headers.append('Call-ID', parts.callId)
    headers.append('CSeq', `${parts.cseq} ${method}`)
    if (method !== 'ACK' && method !== 'BYE') headers.append('Contact', `<${this.contact}>`)
    headers.append('User-Agent', 'SIPhon demo phone')
    return new Request(method, parts.uri, headers)
  }

  send(request: Request, user: ClientUser = nobody): ClientTransaction {
    let open = true
    const settle = (): void => {
      if (open) this.#unanswered--
      open = false
    }
    this.#unanswered++
    return this.layer.request(request, this.#nextHop(request), {
      onResponse: (response, transaction) => {
        if (response.status >= 200) settle()
        user.onResponse(response, transaction)
      },
      onEnd: (reason, transaction) => {
        settle()
        user.onEnd(reason, transaction)
      },
    })
  }

  sendAck(ack: Request): void {
    this.#o.transport.reach(this.#nextHop(ack), (flow) => void flow?.send(ack))
  }

  contactOf(message: Message): string | undefined {
    const contact = parseNameAddr(message.headers.first('contact') ?? '')
    return contact.ok ? contact.value.uri : undefined
  }

  forget(call: object): void {
    for (const [id, known] of this.#calls) if (known === call) this.#calls.delete(id)
  }

  onRequest(request: Request, _flow: Flow, accept: () => ServerTransaction): void {
    const toTag = request.toTag
    if (toTag !== undefined) {
      const call = this.#calls.get(key(request.callId, toTag))
      if (call !== undefined) call.onRequest(request, accept)
      else accept().respond(buildResponse(request, 481))
    } else if (request.method === 'INVITE') {
      const call = new IncomingCall(this, request, accept())
      this.#calls.set(key(call.callId, call.localTag), call)
      this.#o.onCall(call)
    } else {
      const status = request.method === 'OPTIONS' ? 200 : 405
      const headers = [['Allow', 'INVITE, ACK, CANCEL, BYE, OPTIONS']] as const
      accept().respond(buildResponse(request, status, { toTag: this.identifiers.tag(), headers }))
    }
  }

  onAck(ack: Request): void {
    this.#calls.get(key(ack.callId, ack.toTag ?? ''))?.onAck()
  }

  onCancel(
    cancel: Request,
    _flow: Flow,
    invite: ServerTransaction | null,
    accept: () => ServerTransaction,
  ): void {
    const toTag = this.identifiers.tag()
    accept().respond(buildResponse(cancel, invite === null ? 481 : 200, { toTag }))
    if (invite === null) return
    for (const call of this.#calls.values()) {
      if (call instanceof IncomingCall && call.invite === invite.request) call.onCancel()
    }
  }

  onStrayResponse(response: Response): void {
    const call = this.#calls.get(key(response.callId, response.fromTag ?? ''))
    if (response.cseq.method === 'INVITE' && call instanceof OutgoingCall) call.onResponse(response)
  }

  /** The first of the route set, then the Request-URI when it is an IP address and in a dialog; else the server. */
  #nextHop(request: Request): Target {
    const route = request.headers.first('route')
    const value = route === undefined ? undefined : parseNameAddr(route)
    const text = value?.ok ? value.value.uri : request.toTag === undefined ? null : request.uri
    const uri = text === null ? null : parseUri(text)
    if (uri?.ok && isSipUri(uri.value) && isAddress(uri.value.host)) {
      return { protocol: 'udp', host: uri.value.host, port: uri.value.port ?? 5060 }
    }
    return { protocol: 'udp', ...this.#o.server }
  }
}

const nobody: ClientUser = { onResponse: () => undefined, onEnd: () => undefined }

function key(callId: string, localTag: string): string {
  return `${localTag}\n${callId}`
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^\d+(\.\d+){3}$/.test(host)
}
