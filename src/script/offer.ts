import type { Path, Protocol } from '../base/address.ts'
import type { CallInfo, ContactView } from '../core/verdict.ts'
import { type BatchReader, KINDS, OF_CALLS, RESPONDED, type RunKind } from './conversation.ts'
import * as codec from './message-codec.ts'

/** A run as it came: in pieces, because another worker may take it before it starts. */
export interface Offer {
  readonly id: number
  readonly slot: number
  readonly kind: RunKind
  readonly timer: number
  readonly request: codec.RawRequest | null
  readonly response: codec.RawResponse | null
  /** From the request's receipt to the response, ms. */
  readonly elapsedMs: number
  readonly path: Path
  readonly routeConsumed: boolean
  /** Contacts of the Request-URI as of `at`; null: ask. */
  readonly contacts: readonly ContactView[] | null
  /** For handlers of `b2bua`. */
  readonly call: CallInfo | null
}

/** Reads what `WorkerLink.offer` wrote. */
export function readOffer(reader: BatchReader): Offer {
  const id = reader.number()
  const slot = reader.number()
  const kind = KINDS[reader.number()] ?? 'request'
  if (kind === 'timer') {
    const timer = reader.number()
    return {
      id,
      slot,
      kind,
      timer,
      request: null,
      response: null,
      elapsedMs: 0,
      path: NOWHERE,
      routeConsumed: false,
      contacts: null,
      call: null,
    }
  }
  const request = codec.readRequest(reader)
  const protocol = reader.string() as Protocol
  const local = { host: reader.string(), port: reader.number() }
  const remote = { host: reader.string(), port: reader.number() }
  const routeConsumed = reader.number() === 1
  const count = reader.number()
  const contacts = count < 0 ? null : codec.readContacts(reader, count)
  const call = OF_CALLS.has(kind) ? codec.readCallInfo(reader) : null
  const replied = RESPONDED.has(kind) && reader.number() === 1
  const elapsedMs = replied ? reader.number() : 0
  const response = replied ? codec.readResponse(reader) : null
  return {
    id,
    slot,
    kind,
    timer: -1,
    request,
    response,
    elapsedMs,
    path: { protocol, local, remote },
    routeConsumed,
    contacts,
    call,
  }
}

const NOWHERE: Path = { protocol: 'udp', local: { host: '', port: 0 }, remote: { host: '', port: 0 } }
