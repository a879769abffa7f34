import { HeaderFields } from '../message/header-fields.ts'
import { Request, type Message, type Response } from '../message/message.ts'
import { parseNameAddr } from '../message/name-addr.ts'
import { formatUri, isSipUri, parseUri } from '../message/uri.ts'

/** Methods whose requests and 2xx carry a Contact that moves the remote target (§12.2, RFC 3311 §5.1, RFC 6665 §4.4.1). */
export const TARGET_REFRESH: ReadonlySet<string> = new Set([
  'INVITE',
  'UPDATE',
  'SUBSCRIBE',
  'NOTIFY',
  'REFER',
])

/** A request of a dialog and where it goes first: the route set's first URI, or the remote target. */
export interface Outgoing {
  readonly request: Request
  readonly nextHop: string
}

interface DialogState {
  readonly callId: string
  readonly localTag: string
  readonly remoteTag: string
  /** The From of our requests and the To of theirs, tag included. */
  readonly local: string
  readonly remote: string
  readonly routes: readonly string[]
  readonly target: string
  readonly localSeq: number
  readonly remoteSeq: number | null
}

/**
 * One dialog as one of its sides keeps it, RFC 3261 §12: identity, route set, remote target, sequence numbers.
 * Requests are complete but for Via and Contact, which depend on where they leave.
 */
export class Dialog {
  readonly callId: string
  readonly localTag: string
  /** '' for a peer of RFC 2543 that has none. */
  readonly remoteTag: string
  readonly local: string
  readonly remote: string
  #routes: readonly string[]
  #target: string
  #localSeq: number
  #remoteSeq: number | null

  private constructor(state: DialogState) {
    this.callId = state.callId
    this.localTag = state.localTag
    this.remoteTag = state.remoteTag
    this.local = state.local
    this.remote = state.remote
    this.#routes = state.routes
    this.#target = state.target
    this.#localSeq = state.localSeq
    this.#remoteSeq = state.remoteSeq
  }

  /** §12.1.2: our `request` got this response, which has a To tag or is a 2xx. */
  static uac(request: Request, response: Response): Dialog {
    return new Dialog({
      callId: request.callId,
      localTag: request.fromTag ?? '',
      remoteTag: response.toTag ?? '',
      local: request.headers.first('from') ?? '',
      remote: response.headers.first('to') ?? '',
      routes: response.headers.all('record-route').toReversed(),
      target: contactUri(response) ?? request.uri,
      localSeq: request.cseq.number,
      remoteSeq: null,
    })
  }

  /** §12.1.1: their `request` is answered by us with this tag. */
  static uas(request: Request, localTag: string): Dialog {
    return new Dialog({
      callId: request.callId,
      localTag,
      remoteTag: request.fromTag ?? '',
      local: `${request.headers.first('to') ?? ''};tag=${localTag}`,
      remote: request.headers.first('from') ?? '',
      routes: request.headers.all('record-route'),
      target: contactUri(request) ?? request.from.uri,
      localSeq: 0,
      remoteSeq: request.cseq.number,
    })
  }

  /** Where requests of ours lead: the peer's Contact as last heard. */
  get target(): string {
    return this.#target
  }

  get routes(): readonly string[] {
    return this.#routes
  }

  /** CSeq number of our last request. */
  get localSeq(): number {
    return this.#localSeq
  }

  /** §12.1.2 note on 2xx: a confirmed dialog takes its route set from the 2xx that confirms it (§13.2.2.4). */
  confirm(response: Response): void {
    this.#routes = response.headers.all('record-route').toReversed()
    this.refresh(response)
  }

  /** §12.2.1.2, §12.2.2: the remote target moves with a target refresh request or its 2xx. */
  refresh(message: Message): void {
    this.#target = contactUri(message) ?? this.#target
  }

  /** §12.2.2: whether a request of theirs is in order; false is answered with 500. Not for ACK and CANCEL. */
  admits(request: Request): boolean {
    const { number } = request.cseq
    if (this.#remoteSeq !== null && number <= this.#remoteSeq) return false
    this.#remoteSeq = number
    return true
  }

  /** The next request of ours (§12.2.1.1). */
  request(method: string): Outgoing {
    this.#localSeq++
    return this.#build(method, this.#localSeq)
  }

  /** The ACK of a 2xx to the INVITE of this number (§13.2.2.4). */
  ack(seq: number): Outgoing {
    return this.#build('ACK', seq)
  }

  #build(method: string, seq: number): Outgoing {
    const headers = new HeaderFields()
    const { uri, routes, nextHop } = this.#way()
    for (const route of routes) headers.append('Route', route)
    headers.append('Max-Forwards', '70')
    headers.append('From', this.local)
    headers.append('To', this.remote)
    headers.append('Call-ID', this.callId)
    headers.append('CSeq', `${seq} ${method}`)
    return { request: new Request(method, uri, headers), nextHop }
  }

  #way(): { readonly uri: string; readonly routes: readonly string[]; readonly nextHop: string } {
    const [first, ...rest] = this.#routes
    if (first === undefined) return { uri: this.#target, routes: [], nextHop: this.#target }
    const address = parseNameAddr(first)
    const uri = address.ok ? parseUri(address.value.uri) : address
    if (!uri.ok || !isSipUri(uri.value) || uri.value.params.has('lr')) {
      const hop = address.ok ? address.value.uri : this.#target
      return { uri: this.#target, routes: this.#routes, nextHop: hop }
    }
    // A strict router: it wants its own URI there, and the target to come last (§12.2.1.1).
    const own = formatUri({ ...uri.value, headers: null })
    return { uri: own, routes: [...rest, `<${this.#target}>`], nextHop: own }
  }
}

/** The URI of a message's first Contact; null when there is none that can be read. */
export function contactUri(message: Message): string | null {
  const text = message.headers.first('contact')
  if (text === undefined) return null
  const parsed = parseNameAddr(text)
  return parsed.ok ? parsed.value.uri : null
}
