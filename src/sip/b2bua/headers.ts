import type { HeaderFields } from '../message/header-fields.ts'
import { headerKey } from '../message/header-fields.ts'
import type { Message } from '../message/message.ts'
import type { Content, Header, Payload } from './events.ts'

/**
 * Which header fields cross from one leg to the other.
 *
 * `transparent`: everything that is neither of one leg nor of its topology. `strict`: an allow list.
 */
export type HeaderPolicy = 'transparent' | 'strict'

/** Of one leg: its path, dialog, transaction, extensions, timers; what they would say of the other leg is wrong or a leak. */
const OF_A_LEG = new Set([
  'via',
  'route',
  'record-route',
  'path',
  'service-route',
  'contact',
  'from',
  'to',
  'call-id',
  'cseq',
  'max-forwards',
  'content-length',
  'supported',
  'require',
  'proxy-require',
  'unsupported',
  'allow',
  'rseq',
  'rack',
  'session-expires',
  'min-se',
  'replaces',
  'join',
  'refer-to',
  'referred-by',
  'refer-sub',
  'target-dialog',
  'timestamp',
  'date',
  'authentication-info',
])

/** They describe the body and go with it. */
const OF_THE_BODY = new Set([
  'content-type',
  'content-disposition',
  'content-encoding',
  'content-language',
  'mime-version',
])

/** What `strict` lets through: what people and services mean for the other end, and nothing that names a machine. */
const ALLOWED = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'alert-info',
  'answer-mode',
  'call-info',
  'error-info',
  'event',
  'expires',
  'geolocation',
  'in-reply-to',
  'info-package',
  'organization',
  'p-asserted-identity',
  'p-early-media',
  'p-preferred-identity',
  'priority',
  'privacy',
  'reason',
  'recv-info',
  'reply-to',
  'request-disposition',
  'retry-after',
  'subject',
  'subscription-state',
  'user-to-user',
])

/** What a message brings for the other leg: its end-to-end fields, and its body. */
export function payloadOf(message: Message): Payload {
  const headers: Header[] = []
  for (const { name, key, value } of message.headers.fields) {
    if (!OF_A_LEG.has(key) && !OF_THE_BODY.has(key)) headers.push([name, value])
  }
  return { content: contentOf(message), headers }
}

/** The body; null when it is empty. */
export function contentOf(message: Message): Content | null {
  if (message.body === '') return null
  const fields: Header[] = []
  for (const { name, key, value } of message.headers.fields) {
    if (OF_THE_BODY.has(key)) fields.push([name, value])
  }
  return { body: message.body, fields }
}

/** A session description. */
export function sdp(body: string): Content {
  return { body, fields: [['Content-Type', 'application/sdp']] }
}

/** Whether a body is a session description: what offers and answers are made of (RFC 3264). */
export function isSdp(content: Content | null): content is Content {
  if (content === null) return false
  const type = content.fields.find(([name]) => headerKey(name) === 'content-type')?.[1].toLowerCase() ?? ''
  return type.startsWith('application/sdp') || type.startsWith('multipart/')
}

/** The fields that the policy lets through. */
export function crossing(headers: readonly Header[], policy: HeaderPolicy): readonly Header[] {
  return policy === 'transparent' ? headers : headers.filter(([name]) => ALLOWED.has(headerKey(name)))
}

/** Whether a script may say this field for a leg: the ones that hold the leg together are the server's. */
export function isOfALeg(name: string): boolean {
  return OF_A_LEG.has(headerKey(name))
}

/** Puts a payload into a message that is being built. */
export function put(
  message: { headers: HeaderFields; body: string },
  content: Content | null,
  headers: readonly Header[],
): void {
  for (const [name, value] of headers) message.headers.append(name, value)
  if (content === null) return
  for (const [name, value] of content.fields) message.headers.append(name, value)
  message.body = content.body
}
