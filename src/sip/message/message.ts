import { type CSeq, parseCSeq } from './cseq.ts'
import type { Fault, Parsed } from './fault.ts'
import type { HeaderFields } from './header-fields.ts'
import { parseNameAddr, type NameAddr, tagOf } from './name-addr.ts'
import { parseVia, type Via } from './via.ts'

/**
 * SIP messages (RFC 3261 §7) as values.
 *
 * All text is "binary text": one character for each byte (latin1). A message is cut into strings without decoding
 * and is written back byte for byte, UTF-8 and binary bodies included; only what people read is decoded, where it is read.
 */
export type { CSeq } from './cseq.ts'

/** What requests and responses share. The parser has checked these fields; a message built by hand must have them. */
abstract class AnyMessage {
  readonly headers: HeaderFields
  /** The body, a character a byte. */
  body: string
  #viaText: string | undefined
  #via: Via | undefined
  #fromText: string | undefined
  #from: NameAddr | undefined
  #fromTag: string | undefined
  #toText: string | undefined
  #to: NameAddr | undefined
  #toTag: string | undefined
  #cseqText: string | undefined
  #cseq: CSeq | undefined

  constructor(headers: HeaderFields, body: string) {
    this.headers = headers
    this.body = body
  }

  get callId(): string {
    return this.headers.first('call-id') ?? ''
  }

  /**
   * The topmost Via value, or undefined when there is none left or it cannot be read.
   * Cached until the field's text changes, as From, To and CSeq are: to change one, write a text into `headers`, and
   * leave the parameters of what you get alone.
   */
  get via(): Via | undefined {
    const text = this.headers.first('via')
    if (text !== this.#viaText) {
      this.#viaText = text
      const parsed = text === undefined ? undefined : parseVia(text)
      this.#via = parsed?.ok ? parsed.value : undefined
    }
    return this.#via
  }

  get from(): NameAddr {
    const text = this.headers.first('from') ?? ''
    if (this.#from === undefined || text !== this.#fromText) {
      this.#from = nameAddrOrThrow(text)
      this.#fromTag = this.#from.params.get('tag')
      this.#fromText = text
    }
    return this.#from
  }

  get to(): NameAddr {
    const text = this.headers.first('to') ?? ''
    if (this.#to === undefined || text !== this.#toText) {
      this.#to = nameAddrOrThrow(text)
      this.#toTag = this.#to.params.get('tag')
      this.#toText = text
    }
    return this.#to
  }

  get cseq(): CSeq {
    const text = this.headers.first('cseq') ?? ''
    if (this.#cseq === undefined || text !== this.#cseqText) {
      const parsed = parseCSeq(text)
      if (!parsed.ok) throw new Error(`a CSeq that the parser did not check: ${parsed.fault.what}`)
      this.#cseqText = text
      this.#cseq = parsed.value
    }
    return this.#cseq
  }

  /**
   * Reads the fields that every message must have and keeps them, of From and To only the tags, which nearly all that is done with
   * a message needs; null when they are well-formed. The parser calls it once; after that the getters do not throw.
   */
  check(): Fault | null {
    const viaText = this.headers.first('via') ?? ''
    const via = parseVia(viaText)
    if (!via.ok) return { status: via.fault.status, what: `Via: ${via.fault.what}` }
    const fromText = this.headers.first('from') ?? ''
    const from = tagOf(fromText)
    if (!from.ok) return { status: from.fault.status, what: `From: ${from.fault.what}` }
    const toText = this.headers.first('to') ?? ''
    const to = tagOf(toText)
    if (!to.ok) return { status: to.fault.status, what: `To: ${to.fault.what}` }
    const cseqText = this.headers.first('cseq') ?? ''
    const cseq = parseCSeq(cseqText)
    if (!cseq.ok) return cseq.fault
    // A tag with nothing in it would look like a dialog's.
    if (from.value === '' || to.value === '') {
      return { status: 400, what: 'From or To: a tag without a value' }
    }
    this.#viaText = viaText
    this.#via = via.value
    this.#fromText = fromText
    this.#fromTag = from.value
    this.#toText = toText
    this.#toTag = to.value
    this.#cseqText = cseqText
    this.#cseq = cseq.value
    return null
  }

  get fromTag(): string | undefined {
    const text = this.headers.first('from') ?? ''
    if (text !== this.#fromText) {
      // Before its text is kept: one that throws throws again.
      this.#fromTag = tagOrThrow(text)
      this.#from = undefined
      this.#fromText = text
    }
    return this.#fromTag
  }

  get toTag(): string | undefined {
    const text = this.headers.first('to') ?? ''
    if (text !== this.#toText) {
      // Before its text is kept: one that throws throws again.
      this.#toTag = tagOrThrow(text)
      this.#to = undefined
      this.#toText = text
    }
    return this.#toTag
  }
}

function nameAddrOrThrow(text: string): NameAddr {
  return valueOrThrow(parseNameAddr(text))
}

function tagOrThrow(text: string): string | undefined {
  return valueOrThrow(tagOf(text))
}

/** The parser lets no message through whose From or To does not parse, so this is a fault of ours. */
function valueOrThrow<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(`a From or To that the parser did not check: ${parsed.fault.what}`)
  return parsed.value
}

export class Request extends AnyMessage {
  readonly kind = 'request'
  readonly method: string
  /** The Request-URI as text (§7.1). */
  uri: string

  constructor(method: string, uri: string, headers: HeaderFields, body = '') {
    super(headers, body)
    this.method = method
    this.uri = uri
  }

  /** A copy whose fields can be changed without touching this one (§16.6 step 1). Field values are shared. */
  clone(): Request {
    return new Request(this.method, this.uri, this.headers.clone(), this.body)
  }
}

export class Response extends AnyMessage {
  readonly kind = 'response'
  /** 100 … 699. */
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, headers: HeaderFields, body = '') {
    super(headers, body)
    this.status = status
    this.reason = reason
  }

  clone(): Response {
    return new Response(this.status, this.reason, this.headers.clone(), this.body)
  }
}

export type Message = Request | Response
