import { headerKey } from '../../sip/message/header-fields.ts'
import { parseNameAddr } from '../../sip/message/name-addr.ts'
import type { Response } from '../../sip/message/message.ts'
import { buildResponse, readResponse } from '../message-codec.ts'
import { headerValue, show, target } from './checks.ts'
import { givenFields, type GivenFields } from './given-fields.ts'
import { bodyText, MessageView } from './message-view.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { decodeText, encodeText } from './text.ts'

export interface SendRequestOptions {
  /** Set besides what a request must have; From and To (without tag) replace ours. */
  readonly headers?: GivenFields
  readonly body?: string | Uint8Array
  /** Of `body`; `text/plain` unless told. */
  readonly contentType?: string
  /** Where to send it instead of where the URI leads (RFC 3263). */
  readonly nextHop?: string
  /** Answers one challenge (401, 407) of the peer: digest, by the strongest algorithm that both know (RFC 8760). */
  readonly credentials?: {
    readonly username: string
    readonly password: string
    /** Only to a challenge of this realm; whichever asks unless told. */
    readonly realm?: string
  }
  /** For a final response; 2,000 unless told, 32,000 at most. */
  readonly timeoutMs?: number
}

/** The final response to a request of our own. */
export class ReceivedReply extends MessageView {
  readonly #response: Response

  /** @internal */
  constructor(response: Response) {
    super(response, 'this reply was to us: there is nobody to send it to')
    this.#response = response
  }

  /** 200 … 699. */
  get statusCode(): number {
    return this.#response.status
  }

  get reason(): string {
    return decodeText(this.#response.reason)
  }
}

/** Fields that the request's own machinery writes. */
const OURS = new Set(['via', 'cseq', 'call-id', 'content-length', 'max-forwards', 'record-route'])

/** @see proxy.sendRequest */
export async function sendRequest(
  method: string,
  uri: string,
  options: SendRequestOptions = {},
): Promise<ReceivedReply | null> {
  const verb = methodOf(method)
  const to = target(uri, 'sendRequest')
  const hop = options.nextHop === undefined ? null : target(options.nextHop, 'sendRequest: nextHop')
  const { timeoutMs = 2_000 } = options
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 1 && timeoutMs <= 32_000)) {
    throw new ScriptError(`sendRequest: ${show(timeoutMs)} is not a time limit: 1 to 32000 ms`)
  }
  const body = options.body === undefined ? '' : bodyText(options.body)
  const type = body === '' ? null : headerValue('Content-Type', options.contentType ?? 'text/plain')
  const headers = givenFields(options.headers, allowed)
  const reader = await services().call(
    'proxy.sendRequest',
    verb,
    to,
    hop,
    timeoutMs,
    body,
    type,
    headers.length,
    ...headers.flat(),
    ...credentialsOf(options.credentials),
  )
  return reader.done ? null : new ReceivedReply(buildResponse(readResponse(reader)))
}

function methodOf(method: unknown): string {
  if (typeof method !== 'string' || !/^[A-Z0-9\-.!%*_+`'~]{1,64}$/.test(method)) {
    throw new ScriptError(`sendRequest: ${show(method)} is not a method: upper-case letters (RFC 3261 §7.1)`)
  }
  if (method === 'INVITE') throw new ScriptError('sendRequest sends no INVITE: that is b2bua.originate')
  if (method === 'ACK' || method === 'CANCEL') {
    throw new ScriptError(`sendRequest sends no ${method}: it belongs to another request`)
  }
  return method
}

function allowed(name: string, value: string): void {
  const key = headerKey(name)
  if (OURS.has(key)) throw new ScriptError(`sendRequest: ${name} is written by the server`)
  if (key === 'from' || key === 'to') checkAddress(name, value)
}

function credentialsOf(given: SendRequestOptions['credentials']): (string | null)[] {
  if (given === undefined) return [null, null, null]
  const { username, password, realm } = given
  if (typeof username !== 'string' || username === '' || typeof password !== 'string') {
    throw new ScriptError('sendRequest: credentials are { username, password }')
  }
  return [encodeText(username), encodeText(password), realm === undefined ? null : encodeText(realm)]
}

function checkAddress(name: string, text: string): void {
  const address = parseNameAddr(text)
  if (!address.ok) throw new ScriptError(`sendRequest: ${name} is no name and address (RFC 3261 §20.20)`)
  if (address.value.params.has('tag')) {
    throw new ScriptError(`sendRequest: ${name} has a tag: the request would belong to a dialog`)
  }
}
