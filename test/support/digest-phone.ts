import { createSocket, type Socket } from 'node:dgram'
import { digestHash, randomHex } from '../../src/base/digest-hash.ts'
import { DigestClient, type DigestAccount } from '../../src/sip/auth/digest-client.ts'
import type { DigestAlgorithm } from '../../src/sip/auth/algorithm.ts'
import { Request, type Response } from '../../src/sip/message/message.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import { serialize } from '../../src/sip/message/serialize.ts'
import { ackOf, requestText } from './siphon.ts'
import { until } from './programs.ts'

/** A phone over real UDP that answers challenges with our own client side. */
export class DigestPhone {
  readonly #socket: Socket
  readonly #server: number
  readonly #answers: Response[] = []
  readonly client: DigestClient
  #cseq = 1
  #last: Response | null = null

  private constructor(socket: Socket, server: number, client: DigestClient) {
    this.#socket = socket
    this.#server = server
    this.client = client
    socket.on('message', (bytes) => {
      const parsed = parseMessage(bytes.toString('latin1'))
      if (parsed.ok && parsed.message.kind === 'response') this.#answers.push(parsed.message)
    })
  }

  static async open(
    server: number,
    account: Partial<DigestAccount> & { readonly user: string },
    password: string,
    algorithms?: readonly DigestAlgorithm[],
  ): Promise<DigestPhone> {
    const socket = createSocket('udp4')
    await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))
    const client = new DigestClient({
      account: { realm: null, secret: { password }, ...account },
      hash: digestHash,
      chance: () => randomHex(16),
      ...(algorithms === undefined ? {} : { algorithms }),
    })
    return new DigestPhone(socket, server, client)
  }

  /** A request as it would be sent without credentials. */
  request(method: string, uri: string, options: Parameters<typeof requestText>[2] = {}): Request {
    const text = requestText(method, uri, options).replaceAll(
      'OWN',
      `127.0.0.1:${this.#socket.address().port}`,
    )
    const parsed = parseMessage(text)
    if (!parsed.ok || parsed.message.kind !== 'request') throw new Error('not a request')
    return parsed.message
  }

  /** Sends one request as it is, and gives its final response. */
  async send(request: Request, ms?: number): Promise<Response> {
    const branch = `z9hG4bK${randomHex(16)}`
    const sent = request.clone()
    sent.headers.remove('via')
    sent.headers.prepend('Via', this.#via(branch))
    sent.headers.set('CSeq', `${++this.#cseq} ${sent.method}`)
    const text = serialize(sent)
    this.#put(text)
    const answer = await until(
      `an answer to ${sent.method}`,
      () => this.#answers.find((r) => r.status >= 200 && r.via?.params.get('branch') === branch),
      ms,
    )
    this.#last = answer
    if (sent.method === 'INVITE' && answer.status >= 300) this.#put(ackOf(text, serialize(answer)))
    return answer
  }

  /** Sends a request and answers what it is asked; every status that came, in order. */
  async ask(request: Request): Promise<number[]> {
    const statuses: number[] = []
    let next: Request | null = this.client.sign(request)
    for (let tries = 0; next !== null; tries++) {
      const answer: Response = await this.send(next)
      statuses.push(answer.status)
      next = this.client.retry(answer, next, tries)
    }
    return statuses
  }

  /** What `send` or `ask` gave last. */
  get lastAnswer(): Response {
    if (this.#last === null) throw new Error('nothing was answered yet')
    return this.#last
  }

  /** The ACK of a 2xx: it has no answer. */
  sendAck(ack: Request): void {
    ack.headers.prepend('Via', this.#via(`z9hG4bK${randomHex(16)}`))
    this.#put(serialize(ack))
  }

  close(): void {
    this.#socket.close()
  }

  #via(branch: string): string {
    return `SIP/2.0/UDP 127.0.0.1:${this.#socket.address().port};rport;branch=${branch}`
  }

  #put(text: string): void {
    this.#socket.send(Buffer.from(text, 'latin1'), this.#server, '127.0.0.1')
  }
}
