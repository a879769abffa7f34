import { headerKey } from '../../sip/message/header-fields.ts'
import type { Message } from '../../sip/message/message.ts'
import type { Edit } from '../../core/verdict.ts'
import { headerName, headerValue, show, writable } from './checks.ts'
import { ScriptError } from './script-error.ts'
import { decodeText, encodeText } from './text.ts'

/** What requests and replies share in a script: reading fields, and changing them where they are still to be sent. */
export abstract class MessageView {
  readonly #message: Message
  /** Null: this message has gone already; the string says what to change instead. */
  readonly #edits: Edit[] | string

  /** @internal */
  constructor(message: Message, edits: Edit[] | string) {
    this.#message = message
    this.#edits = edits
  }

  get callId(): string {
    return decodeText(this.#message.callId)
  }

  /** The URI in From (RFC 3261 §20.20). */
  get fromUri(): string {
    return decodeText(this.#message.from.uri)
  }

  /** The URI in To (§20.39). */
  get toUri(): string {
    return decodeText(this.#message.to.uri)
  }

  get fromTag(): string | undefined {
    return this.#message.fromTag
  }

  /** Undefined outside a dialog. */
  get toTag(): string | undefined {
    return this.#message.toTag
  }

  get cseq(): { readonly number: number; readonly method: string } {
    return this.#message.cseq
  }

  /** The body's bytes; a copy. */
  get body(): Buffer {
    return Buffer.from(this.#message.body, 'latin1')
  }

  /** The body as text (UTF-8); '' when there is none. */
  get bodyText(): string {
    return decodeText(this.#message.body)
  }

  get contentType(): string | undefined {
    return this.getHeader('Content-Type')
  }

  get userAgent(): string | undefined {
    return this.getHeader('User-Agent')
  }

  /** The first field of this name, compact form or long, in any case; undefined when there is none. */
  getHeader(name: string): string | undefined {
    const value = this.#message.headers.first(headerKey(name))
    return value === undefined ? undefined : decodeText(value)
  }

  /** Every field of this name, in order. Comma lists are not split, except Via, Route, Record-Route and Path. */
  getHeaders(name: string): string[] {
    return this.#message.headers.all(headerKey(name)).map(decodeText)
  }

  hasHeader(name: string): boolean {
    return this.#message.headers.has(headerKey(name))
  }

  /**
   * Leaves exactly one field of this name, with this value.
   * @throws ScriptError for a line break or NUL, and for fields that only the server writes (Via, CSeq, Call-ID,
   * Max-Forwards, Content-Length, Record-Route, the tags of From and To)
   */
  setHeader(name: string, value: string | number): void {
    const { key, text } = this.#checked(name, value)
    this.edit(['set', key, text])
    this.#message.headers.set(key, text)
  }

  /** Adds a field after those of the same name. Throws as `setHeader` does. */
  addHeader(name: string, value: string | number): void {
    const { key, text } = this.#checked(name, value)
    if (this.#message.headers.has(headerKey(key)) && /^(from|to)$/.test(headerKey(key))) {
      throw new ScriptError(`a message has one ${name}: use setHeader`)
    }
    this.edit(['add', key, text])
    this.#message.headers.append(key, text)
  }

  /** Removes every field of this name; tells whether there was one. */
  removeHeader(name: string): boolean {
    const field = headerName(name)
    const key = headerKey(field)
    writable(field, this.#message.headers.first(key), null)
    if (!this.#message.headers.has(key)) return false
    this.edit(['remove', field])
    this.#message.headers.remove(key)
    return true
  }

  /** Sets the field unless the message has one of this name. @returns whether it was set. Throws as `setHeader` does. */
  ensureHeader(name: string, value: string | number): boolean {
    if (this.hasHeader(headerName(name))) return false
    this.setHeader(name, value)
    return true
  }

  /**
   * Removes every field whose name begins with `prefix`, in any case: `X-Internal-`. @returns how many fields there were.
   * Throws as `removeHeader` does, when a field that only the server writes is among them; then nothing is removed.
   */
  removeHeadersMatching(prefix: string): number {
    const start = headerName(prefix).toLowerCase()
    const found = this.#message.headers.fields.filter(({ key }) => key.startsWith(start))
    const names = [...new Set(found.map(({ key }) => key))]
    for (const key of names) writable(key, this.#message.headers.first(key), null)
    for (const key of names) this.removeHeader(key)
    return found.length
  }

  /** Takes one value out of a comma-separated list such as Supported or Allow, in any case. @returns whether it was there */
  removeFromHeaderList(name: string, value: string): boolean {
    const wanted = String(value).trim().toLowerCase()
    const items = this.getHeaders(name).flatMap((line) => line.split(',').map((item) => item.trim()))
    const kept = items.filter((item) => item.toLowerCase() !== wanted)
    if (kept.length === items.length) return false
    if (kept.length === 0) this.removeHeader(name)
    else this.setHeader(name, kept.join(', '))
    return true
  }

  /**
   * Replaces the body. Content-Length follows by itself.
   * @param contentType needed when the message had no body; kept when not given
   */
  setBody(body: string | Uint8Array, contentType?: string): void {
    const text = bodyText(body)
    const type = contentType === undefined ? null : headerValue('Content-Type', contentType)
    if (text !== '' && type === null && !this.hasHeader('Content-Type')) {
      throw new ScriptError('setBody needs a content type: the message had no body')
    }
    this.edit(['body', text, type])
    this.#message.body = text
    if (type !== null) this.#message.headers.set('Content-Type', type)
  }

  #checked(name: string, value: string | number): { key: string; text: string } {
    const key = headerName(name)
    const text = headerValue(key, value)
    writable(key, this.#message.headers.first(headerKey(key)), text)
    return { key, text }
  }

  /** @internal For verbs that change a field in a way of their own; `value` is binary text that has been checked. */
  protected put(how: 'set' | 'prepend', name: string, value: string): void {
    this.edit([how, name, value])
    if (how === 'set') this.#message.headers.set(name, value)
    else this.#message.headers.prepend(name, value)
  }

  /** @internal @throws ScriptError when the message has gone already */
  protected edit(edit: Edit): void {
    if (typeof this.#edits === 'string') throw new ScriptError(this.#edits)
    this.#edits.push(edit)
  }
}

/** @internal @returns binary text */
export function bodyText(body: unknown): string {
  if (typeof body === 'string') return encodeText(body)
  if (body instanceof Uint8Array) {
    return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')
  }
  throw new ScriptError(`${show(body)} is not a body: a string or bytes`)
}
