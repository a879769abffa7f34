import { Dialog } from '../../src/sip/dialog/dialog.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import { HeaderFields } from '../../src/sip/message/header-fields.ts'
import { Request, Response } from '../../src/sip/message/message.ts'
import { parseNameAddr } from '../../src/sip/message/name-addr.ts'
import type { ClientTransaction, ServerTransaction } from '../../src/stack/transaction-layer.ts'
import { TransactionLayer } from '../../src/stack/transaction-layer.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { countingIdentifiers } from './counting-identifiers.ts'
import type { Lab } from './lab.ts'
import type { SimulatedTransport } from './simulated-transport.ts'

type Headers = Readonly<Record<string, string>>
export interface Says {
  readonly sdp?: string | null
  readonly headers?: Headers
}

const ALLOW = 'INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, MESSAGE, NOTIFY, REFER, OPTIONS'

/** A session description whose text names what it says; the origin is everybody's unless told. */
export const sdp = (what: string, by = 'lab'): string =>
  `v=0\r\no=- 1 1 IN IP4 ${by}\r\ns=-\r\nc=IN IP4 ${what}\r\nm=audio 4000 RTP/AVP 0\r\n`

let agents = 0

/**
 * A user agent that does what a test says and nothing else: above its transactions nothing is automatic, neither ACK nor
 * PRACK nor the 200 of a BYE.
 */
export class Agent {
  readonly name: string
  /** Of its Contact. */
  uri: string
  readonly received: (Request | Response)[] = []
  /** Asked first about each request; what it does not take stays in `received`. */
  onRequest: (request: Request, call: AgentCall | null) => void = () => undefined
  onResponse: (response: Response, call: AgentCall) => void = () => undefined
  onAck: (ack: Request, call: AgentCall | null) => void = () => undefined
  readonly calls: AgentCall[] = []
  readonly layer: TransactionLayer
  readonly servers = new Map<Request, ServerTransaction>()
  readonly #transport: SimulatedTransport
  /** Sent-by of its Vias. */
  #sentBy: string
  readonly #ids
  readonly #room: Lab

  constructor(name: string, room: Lab) {
    this.name = name
    this.#room = room
    this.#ids = countingIdentifiers(`${name}-`)
    const number = ['alice', 'bob', 'carol', 'dave'].indexOf(name) + 1 || 10 + ++agents
    const address = { host: `192.0.2.${number}`, port: 5060 }
    this.uri = `sip:${name}@${address.host}:5060`
    this.#sentBy = address.host + ':5060'
    const spine = createSpine((_channel, error) => {
      throw error
    })
    spine.logged.subscribe(({ level, text, fields }) => {
      if (level === 'error') throw new Error(`${name}: ${text} ${JSON.stringify(fields)}`)
    })
    this.#transport = room.transport(name, address, (message, flow) => this.layer.onMessage(message, flow))
    this.layer = new TransactionLayer({
      clock: room.clock,
      identifiers: this.#ids,
      spine,
      transport: this.#transport,
      user: {
        onRequest: (request, _flow, accept) => {
          const server = accept()
          this.servers.set(request, server)
          this.received.push(request)
          if (request.method === 'INVITE' && request.toTag === undefined)
            this.calls.push(AgentCall.incoming(this, request))
          this.onRequest(request, this.#callOf(request))
        },
        onAck: (ack) => {
          this.received.push(ack)
          this.onAck(ack, this.#callOf(ack))
        },
        onCancel: (cancel, _flow, invite, accept) => {
          accept().respond(buildResponse(cancel, invite === null ? 481 : 200))
          this.received.push(cancel)
          if (invite === null) return
          const call = this.calls.find((c) => c.invite.callId === cancel.callId)
          if (call !== undefined && !call.final) call.answer(487)
        },
        onStrayResponse: () => undefined,
      },
    })
  }

  /** It is behind a NAT, and knows itself by this address. */
  hide(host: string): void {
    this.uri = `sip:${this.name}@${host}:5060`
    this.#sentBy = `${host}:5060;rport`
  }

  /** Calls through the server. */
  call(to: string, { sdp: body = sdp(this.name), headers = {} }: Says = {}): AgentCall {
    const fields = new HeaderFields()
    fields.append('Max-Forwards', '70')
    fields.append('From', `"${this.name}" <sip:${this.name}@${this.#room.domain}>;tag=${this.#ids.tag()}`)
    fields.append('To', `<${to}>`)
    fields.append('Call-ID', this.#ids.callId())
    fields.append('CSeq', '1 INVITE')
    fields.append('Allow', ALLOW)
    for (const [name, value] of Object.entries(headers)) fields.append(name, value)
    if (body !== null) fields.append('Content-Type', 'application/sdp')
    const call = AgentCall.outgoing(this, new Request('INVITE', to, fields, body ?? ''))
    this.calls.push(call)
    call.send(call.invite)
    return call
  }

  /** Sends a request with Via and Contact of its own. */
  request(request: Request, onResponse: (response: Response) => void): ClientTransaction {
    request.headers.prepend('Via', `SIP/2.0/UDP ${this.#sentBy};branch=${this.#ids.branch()}`)
    if (!request.headers.has('contact')) request.headers.append('Contact', `<${this.uri}>`)
    const target = { protocol: 'udp' as const, ...this.#room.server }
    return this.layer.request(request, target, {
      onResponse: (response) => {
        this.received.push(response)
        onResponse(response)
      },
      onEnd: () => undefined,
    })
  }

  sendAck(ack: Request): void {
    ack.headers.prepend(
      'Via',
      `SIP/2.0/UDP ${this.#transport.address.host}:5060;branch=${this.#ids.branch()}`,
    )
    this.#transport.flowTo(this.#room.server).send(ack)
  }

  tag(): string {
    return this.#ids.tag()
  }

  /** The last message of this kind: 'INVITE', '200 INVITE'. */
  last(what: string): Request | Response {
    const found = this.received.findLast((m) => nameOf(m) === what)
    if (found === undefined) throw new Error(`${this.name} got no ${what}: ${this.got().join(', ')}`)
    return found
  }

  lastRequest(method: string): Request {
    const found = this.last(method)
    if (found.kind !== 'request') throw new Error('not a request')
    return found
  }

  got(): string[] {
    return this.received.map(nameOf)
  }

  #callOf(request: Request): AgentCall | null {
    return this.calls.findLast((c) => c.invite.callId === request.callId) ?? null
  }
}

const nameOf = (m: Request | Response): string =>
  m.kind === 'request' ? m.method : `${m.status} ${m.cseq.method}`

/** One call of an agent's. */
export class AgentCall {
  readonly agent: Agent
  readonly invite: Request
  readonly tag: string
  dialog: Dialog | null = null
  final = false
  transaction: ClientTransaction | null = null
  readonly #uac: boolean
  #rseq = 100

  private constructor(agent: Agent, invite: Request, uac: boolean) {
    this.agent = agent
    this.invite = invite
    this.#uac = uac
    this.tag = uac ? (invite.fromTag ?? '') : agent.tag()
  }

  static outgoing(agent: Agent, invite: Request): AgentCall {
    return new AgentCall(agent, invite, true)
  }

  static incoming(agent: Agent, invite: Request): AgentCall {
    const call = new AgentCall(agent, invite, false)
    call.dialog = Dialog.uas(invite, call.tag)
    return call
  }

  send(request: Request): ClientTransaction {
    const transaction = this.agent.request(request, (response) => {
      if (request === this.invite) {
        if (response.status >= 200) this.final = true
        if (response.status > 100 && response.status < 300 && response.toTag !== undefined) {
          if (this.dialog === null || this.dialog.remoteTag !== response.toTag || response.status >= 200) {
            const fresh = Dialog.uac(request, response)
            if (this.dialog === null || this.dialog.remoteTag !== response.toTag) this.dialog = fresh
            else this.dialog.confirm(response)
          }
        }
      } else if (response.status < 300 && response.headers.has('contact')) this.dialog?.refresh(response)
      this.agent.onResponse(response, this)
    })
    if (request === this.invite) this.transaction = transaction
    return transaction
  }

  /** Answers a request, the INVITE unless told; a 2xx or a 1xx with a Contact. */
  answer(status: number, { sdp: body = null, headers = {} }: Says = {}, request = this.invite): Response {
    const fields: [string, string][] = [
      ['Contact', `<${this.agent.uri}>`],
      ['Allow', ALLOW],
      ...Object.entries(headers),
    ]
    const response = buildResponse(request, status, {
      ...(status > 100 ? { toTag: this.tag } : {}),
      headers: fields,
      ...(body === null ? {} : { body, contentType: 'application/sdp' }),
    })
    if (request === this.invite && status >= 200) this.final = true
    this.agent.servers.get(request)?.respond(response)
    return response
  }

  /** A reliable provisional response; repeats nothing. */
  reliably(status: number, says: Says = {}): Response {
    return this.answer(status, {
      ...says,
      headers: { ...says.headers, Require: '100rel', RSeq: String(++this.#rseq) },
    })
  }

  ack(says: Says = {}, response?: Response): void {
    const { dialog } = this
    if (dialog === null) throw new Error('no dialog')
    const { request } = dialog.ack(response?.cseq.number ?? this.invite.cseq.number)
    this.agent.sendAck(filled(request, says))
  }

  /** A request in the dialog. */
  within(method: string, says: Says = {}): Request {
    const { dialog } = this
    if (dialog === null) throw new Error('no dialog')
    const { request } = dialog.request(method)
    filled(request, says)
    this.send(request)
    return request
  }

  prack(response: Response, says: Says = {}): Request {
    const rack = `${response.headers.first('rseq')} ${response.cseq.number} INVITE`
    return this.within('PRACK', { ...says, headers: { ...says.headers, RAck: rack } })
  }

  cancel(): void {
    this.transaction?.cancel()
  }

  bye(headers: Headers = {}): void {
    this.within('BYE', { headers })
  }

  /** A Replaces that names this dialog, as a transferor writes it for the one it sends it to. */
  get replaces(): string {
    const d = this.dialog
    if (d === null) throw new Error('no dialog')
    return `${d.callId};to-tag=${d.remoteTag};from-tag=${d.localTag}`
  }

  get isCaller(): boolean {
    return this.#uac
  }
}

function filled(request: Request, { sdp: body, headers = {} }: Says): Request {
  for (const [name, value] of Object.entries(headers)) request.headers.append(name, value)
  if (body !== undefined && body !== null) {
    request.headers.append('Content-Type', 'application/sdp')
    request.body = body
  }
  return request
}

/** The URI of a Contact, Refer-To … */
export function uriIn(text: string | undefined): string {
  const parsed = parseNameAddr(text ?? '')
  return parsed.ok ? parsed.value.uri : ''
}
