import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { buildAck, buildCancel, buildResponse, type ResponseOptions } from '../../src/sip/message/build.ts'
import type { Message, Request, Response } from '../../src/sip/message/message.ts'
import { parseNameAddr } from '../../src/sip/message/name-addr.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import { serialize } from '../../src/sip/message/serialize.ts'
import { until } from './programs.ts'

/** A SIP party on a real socket that says exactly what the test tells it to, once: it repeats nothing. */

type Wire = { readonly port: number; send(bytes: Buffer): void; close(): void }

export interface InviteOptions {
  readonly headers?: readonly string[]
  readonly callId?: string
  /** Carried as application/sdp. */
  readonly sdp?: string
}

let count = 0

export class SipPeer {
  /** Everything that came, in order. */
  readonly received: Message[] = []
  /** Decides what a request that arrives is answered with; by default nothing is. */
  onRequest: (request: Request) => void = () => undefined
  readonly transport: 'udp' | 'tcp'
  readonly #wire: Wire

  private constructor(transport: 'udp' | 'tcp', wire: (onText: (text: string) => void) => Wire) {
    this.transport = transport
    this.#wire = wire((text) => this.#onText(text))
  }

  /** A party that talks with the server at this port; over tcp on a connection of its own. */
  static open(server: number, transport: 'udp' | 'tcp' = 'udp'): Promise<SipPeer> {
    return new Promise((done, fail) => {
      if (transport === 'udp') {
        const socket = createSocket('udp4')
        socket.once('error', fail)
        socket.bind(0, '127.0.0.1', () =>
          done(
            new SipPeer('udp', (onText) => {
              socket.on('message', (m) => onText(m.toString('latin1')))
              return {
                port: socket.address().port,
                send: (bytes) => socket.send(bytes, server, '127.0.0.1'),
                close: () => socket.close(),
              }
            }),
          ),
        )
        return
      }
      const socket = connect(server, '127.0.0.1', () =>
        done(
          new SipPeer('tcp', (onText) => {
            socket.on('data', (bytes) => onText(bytes.toString('latin1')))
            return {
              port: socket.localPort ?? 0,
              send: (bytes) => void socket.write(bytes),
              close: () => socket.destroy(),
            }
          }),
        ),
      )
      socket.once('error', fail)
    })
  }

  get port(): number {
    return this.#wire.port
  }

  get contact(): string {
    return `sip:peer@127.0.0.1:${this.port}${this.transport === 'tcp' ? ';transport=tcp' : ''}`
  }

  send(message: Message): void {
    this.#wire.send(Buffer.from(serialize(message), 'latin1'))
  }

  /** Answers a request with a To tag and a Contact of this party. */
  answer(request: Request, status: number, options: ResponseOptions = {}): void {
    const headers = [['Contact', `<${this.contact}>`] as const, ...(options.headers ?? [])]
    this.send(buildResponse(request, status, { ...options, toTag: `to-${this.port}`, headers }))
  }

  /** Calls. The caller drives the rest. */
  invite(uri: string, { headers = [], callId, sdp }: InviteOptions = {}): OutgoingInvite {
    const id = `${process.pid}-${++count}`
    const invite = this.request('INVITE', uri, [
      `From: "Tester" <sip:tester@example.com>;tag=${id}`,
      `To: <${uri}>`,
      `Call-ID: ${callId ?? `call-${id}`}`,
      'CSeq: 1 INVITE',
      'User-Agent: test peer/1',
      ...headers,
    ])
    if (sdp !== undefined) {
      invite.body = sdp
      invite.headers.append('Content-Type', 'application/sdp')
    }
    const call = new OutgoingInvite(this, invite)
    this.send(invite)
    return call
  }

  /** A request with this party's Via and Contact. */
  request(method: string, uri: string, fields: readonly string[]): Request {
    const text = [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/${this.transport.toUpperCase()} 127.0.0.1:${this.port};rport;branch=z9hG4bK${process.pid}-${++count}`,
      'Max-Forwards: 70',
      ...fields,
      `Contact: <${this.contact}>`,
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n')
    const result = parseMessage(text)
    if (!result.ok || result.message.kind !== 'request')
      throw new Error(`a bad request of the test's: ${text}`)
    return result.message
  }

  /** The first message that matches; waits for it. */
  async heard<T extends Message>(what: string, match: (message: Message) => message is T): Promise<T> {
    return until(what, () => this.received.find(match))
  }

  close(): void {
    this.#wire.close()
  }

  #onText(text: string): void {
    // Over tcp several messages may come in one piece; none here has a body.
    for (const part of this.transport === 'udp' ? [text] : text.split(/(?<=\r\n\r\n)/)) {
      const result = parseMessage(part)
      if (!result.ok) throw new Error(`the server sent what is no message: ${result.fault.what}\n${part}`)
      this.received.push(result.message)
      if (result.message.kind === 'request') this.onRequest(result.message)
    }
  }
}

export class OutgoingInvite {
  readonly invite: Request
  readonly #peer: SipPeer
  #cseq = 1

  constructor(peer: SipPeer, invite: Request) {
    this.#peer = peer
    this.invite = invite
  }

  get callId(): string {
    return this.invite.callId
  }

  /** The response to the INVITE in this range of statuses. */
  response(from: number, to: number): Promise<Response> {
    return this.#peer.heard(
      `a response ${from}-${to} to ${this.callId}`,
      (m): m is Response =>
        m.kind === 'response' &&
        m.callId === this.callId &&
        m.cseq.method === 'INVITE' &&
        m.status >= from &&
        m.status <= to,
    )
  }

  /** Waits for the final response and acknowledges it. */
  async final(): Promise<Response> {
    const response = await this.response(200, 699)
    if (response.status < 300) this.#peer.send(this.inDialog('ACK', response))
    else this.#peer.send(buildAck(this.invite, response))
    return response
  }

  cancel(headers: readonly (readonly [string, string])[] = []): void {
    const cancel = buildCancel(this.invite)
    for (const [name, value] of headers) cancel.headers.append(name, value)
    this.#peer.send(cancel)
  }

  /** A request of the caller's within the dialog that `response` made. */
  inDialog(method: string, response: Response, headers: readonly string[] = []): Request {
    const contact = parseNameAddr(response.headers.first('contact') ?? '')
    const number = method === 'ACK' ? this.invite.cseq.number : ++this.#cseq
    return this.#peer.request(method, contact.ok ? contact.value.uri : this.invite.uri, [
      ...response.headers
        .all('record-route')
        .toReversed()
        .map((route) => `Route: ${route}`),
      `From: ${this.invite.headers.first('from')}`,
      `To: ${response.headers.first('to')}`,
      `Call-ID: ${this.callId}`,
      `CSeq: ${number} ${method}`,
      ...headers,
    ])
  }

  /** BYE, and its final response. */
  async bye(response: Response, headers: readonly string[] = []): Promise<number> {
    const bye = this.inDialog('BYE', response, headers)
    this.#peer.send(bye)
    return finalTo(this.#peer, bye)
  }
}

/** The final response to a request that this party sent. */
export async function finalTo(peer: SipPeer, request: Request): Promise<number> {
  const response = await peer.heard(
    `a final response to ${request.method} of ${request.callId}`,
    (m): m is Response =>
      m.kind === 'response' &&
      m.callId === request.callId &&
      m.cseq.method === request.method &&
      m.cseq.number === request.cseq.number &&
      m.status >= 200,
  )
  return response.status
}

/** The callee's BYE in the dialog of the INVITE that it answered. */
export function calleeBye(callee: SipPeer, invite: Request, headers: readonly string[] = []): Request {
  const contact = parseNameAddr(invite.headers.first('contact') ?? '')
  return callee.request('BYE', contact.ok ? contact.value.uri : '', [
    ...invite.headers.all('record-route').map((route) => `Route: ${route}`),
    `From: ${invite.headers.first('to')};tag=to-${callee.port}`,
    `To: ${invite.headers.first('from')}`,
    `Call-ID: ${invite.callId}`,
    'CSeq: 7 BYE',
    ...headers,
  ])
}
