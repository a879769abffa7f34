import { findSdp, replaceSdp } from '../../sip/sdp/body.ts'
import type { Codec, MediaDescription } from '../../sip/sdp/media-description.ts'
import type { Origin } from '../../sip/sdp/origin.ts'
import { DIRECTIONS, type Direction, type Section } from '../../sip/sdp/section.ts'
import { SessionDescription } from '../../sip/sdp/session-description.ts'
import { show } from './checks.ts'
import { ScriptError } from './script-error.ts'
import { decodeText, encodeText } from './text.ts'

/** Anything with a body that can be replaced: a request, a reply, a call. */
export interface SdpCarrier {
  readonly body: Uint8Array
  readonly contentType: string | undefined
  setBody(body: Uint8Array, contentType?: string): void
}

export type { Codec, Direction, Origin }

export const sdp = {
  /**
   * Reads a session description (RFC 8866) from text, bytes, or a message's body: an `application/sdp`, or that part of a
   * multipart body. Any text can be read; what nobody edits is written byte for byte.
   * @throws ScriptError for a message without one: ask `sdp.has(message)`
   */
  parse(source: string | Uint8Array | SdpCarrier): Sdp {
    if (typeof source === 'string') return new Sdp(encodeText(source))
    if (source instanceof Uint8Array) return new Sdp(Buffer.from(source).toString('latin1'))
    const text = sdpOf(source)
    if (text === undefined) throw new ScriptError('sdp.parse: the message carries no application/sdp')
    return new Sdp(text)
  },

  /** Whether the message carries a session description. */
  has(message: SdpCarrier): boolean {
    return sdpOf(message) !== undefined
  },
}

/** What `Sdp` and its media share: attributes, connection and direction. */
abstract class SdpSection {
  readonly #section: Section

  /** @internal */
  constructor(section: Section) {
    this.#section = section
  }

  /** Values of the `a=` lines, in order: `sendrecv`, `rtpmap:0 PCMU/8000` … */
  get attrs(): readonly string[] {
    return this.#section.attributes.map(decodeText)
  }

  /** The value of the first attribute of this name: '' when it has none, undefined when it is not there. */
  getAttr(name: string): string | undefined {
    const value = this.#section.attribute(attributeName(name))
    return value === undefined ? undefined : decodeText(value)
  }

  hasAttr(name: string): boolean {
    return this.getAttr(name) !== undefined
  }

  /** Leaves one attribute of this name. @param value not given: an attribute without value, as `rtcp-mux` */
  setAttr(name: string, value?: string | number): void {
    this.#section.setAttribute(attributeName(name), value === undefined ? null : lineText(name, value))
  }

  /** Removes every attribute of this name; tells whether there was one. */
  removeAttr(name: string): boolean {
    return this.#section.removeAttribute(attributeName(name)) > 0
  }

  /** The IP address or name of the section's own `c=` line; undefined without one. */
  get connection(): string | undefined {
    return this.#section.connection
  }

  set connection(address: string) {
    if (!/^[A-Za-z0-9.:_-]+$/.test(String(address))) {
      throw new ScriptError(`${show(address)} is not an address for c=`)
    }
    this.#section.connection = address
  }

  /** The section's own; undefined when it says nothing (then the session's, else `sendrecv`). */
  get direction(): Direction | undefined {
    return this.#section.direction
  }

  set direction(direction: Direction) {
    if (!DIRECTIONS.includes(direction)) {
      throw new ScriptError(`${show(direction)} is not a direction: ${DIRECTIONS.join(', ')}`)
    }
    this.#section.direction = direction
  }
}

/** A session description that keeps what it does not understand. Changes reach a message with `apply`. */
export class Sdp extends SdpSection {
  readonly #sdp: SessionDescription

  /** @internal @param text binary text */
  constructor(text: string) {
    const parsed = SessionDescription.parse(text)
    super(parsed.session)
    this.#sdp = parsed
  }

  /** The `o=` line; undefined when there is none that can be read. */
  get origin(): Origin | undefined {
    const { origin } = this.#sdp
    return origin && { ...origin, username: decodeText(origin.username) }
  }

  set origin(origin: Origin) {
    const parts = Object.entries(origin).map(([key, value]) => [key, word(`origin.${key}`, value)] as const)
    this.#sdp.origin = { ...origin, ...Object.fromEntries(parts) }
  }

  /** The `s=` line; '' when there is none. */
  get sessionName(): string {
    return decodeText(this.#sdp.session.get('s') ?? '')
  }

  set sessionName(name: string) {
    this.#sdp.session.set('s', lineText('sessionName', name))
  }

  /** The media in order. */
  get media(): readonly SdpMedia[] {
    return this.#sdp.media.map((m) => new SdpMedia(m))
  }

  /**
   * Keeps these codecs (`'PCMU'`, `'opus/48000'`, in any case) in every RTP medium, with what is said of them, in the order
   * they are in. `telephone-event` stays only when named. False when some medium would have been left without a codec: it
   * is unchanged then, since a medium without a format is no SDP. Refuse the call with 488, or `removeMedia` it.
   */
  filterCodecs(keep: readonly string[]): boolean {
    return this.#filter((codec) => keep.some((name) => named(codec, name)))
  }

  /** Removes these codecs from every RTP medium. Otherwise as `filterCodecs`. */
  removeCodecs(names: readonly string[]): boolean {
    return this.#filter((codec) => !names.some((name) => named(codec, name)))
  }

  /**
   * Refuses the media of a type (`video`): port 0, and out of its BUNDLE group; the `m=` line keeps its place, as answers
   * need it (RFC 3264 §6). With `drop`, its lines go as a whole: only for an offer whose answer you will not have to match.
   * @returns how many there were
   */
  removeMedia(type: string, { drop = false }: { readonly drop?: boolean } = {}): number {
    const found = this.#sdp.media.filter((m) => m.type === type)
    for (const medium of found) {
      const mid = medium.attribute('mid')
      if (mid !== undefined) this.#leaveGroups(mid)
      medium.port = 0
    }
    if (drop) this.#sdp.drop(type)
    return found.length
  }

  /**
   * Puts the description into a message: over the one it has (of a multipart body, that part alone), or as the body of one
   * without a body.
   */
  apply(message: SdpCarrier): void {
    putSdp(message, this.#sdp.toString())
  }

  bytes(): Uint8Array {
    return Buffer.from(this.#sdp.toString(), 'latin1')
  }

  override toString(): string {
    return decodeText(this.#sdp.toString())
  }

  #filter(keep: (codec: Codec) => boolean): boolean {
    const results = this.#sdp.media
      .filter((m) => m.protocol.includes('RTP/') && m.port !== 0)
      .map((m) => m.filterCodecs(keep))
    return results.every(Boolean)
  }

  /** RFC 9143 §7.5.3: what is refused is in no group. */
  #leaveGroups(mid: string): void {
    const { session } = this.#sdp
    const groups = session.attributesOf('group').map((value) => value.split(' '))
    if (!groups.some((words) => words.slice(1).includes(mid))) return
    session.removeAttribute('group')
    for (const words of groups) {
      const left = words.filter((w, i) => i === 0 || w !== mid)
      if (left.length > 1) session.addAttribute('group', left.join(' '))
    }
  }
}

/** One `m=` line and what follows it. */
export class SdpMedia extends SdpSection {
  readonly #media: MediaDescription

  /** @internal */
  constructor(media: MediaDescription) {
    super(media)
    this.#media = media
  }

  /** `audio`, `video`, `image`, `application` … */
  get mediaType(): string {
    return this.#media.type
  }

  /** 0: refused. */
  get port(): number {
    return this.#media.port
  }

  set port(port: number) {
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new ScriptError(`${show(port)} is not a port: 0 to 65535`)
    }
    this.#media.port = port
  }

  /** `RTP/AVP`, `UDP/TLS/RTP/SAVPF` … */
  get protocol(): string {
    return this.#media.protocol
  }

  set protocol(protocol: string) {
    this.#media.protocol = word('protocol', protocol)
  }

  /** Payload types, or what stands in their place, in order of preference. */
  get formats(): readonly string[] {
    return this.#media.formats
  }

  get codecs(): readonly Codec[] {
    return this.#media.codecs
  }

  /** The address media goes to: the medium's own `c=`, else the session's. */
  get address(): string | undefined {
    return this.#media.address
  }
}

/** @internal The message's SDP as binary text. */
export function sdpOf({ body, contentType }: SdpCarrier): string | undefined {
  const text = Buffer.from(body).toString('latin1')
  const span = findSdp(contentType === undefined ? undefined : encodeText(contentType), text)
  return span && text.slice(span.from, span.to)
}

/** @internal @param text binary text */
export function putSdp(message: SdpCarrier, text: string): void {
  const { body, contentType } = message
  if (body.length === 0) {
    message.setBody(Buffer.from(text, 'latin1'), 'application/sdp')
    return
  }
  const type = contentType === undefined ? undefined : encodeText(contentType)
  const whole = replaceSdp(type, Buffer.from(body).toString('latin1'), text)
  if (whole === undefined)
    throw new ScriptError(`the message has a body that is no SDP: ${show(contentType)}`)
  message.setBody(Buffer.from(whole, 'latin1'))
}

function named(codec: Codec, name: string): boolean {
  const [wanted = '', rate] = String(name).toLowerCase().split('/')
  return codec.name.toLowerCase() === wanted && (rate === undefined || codec.clockRate === Number(rate))
}

function attributeName(name: string): string {
  if (!/^[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+$/.test(String(name))) {
    throw new ScriptError(`${show(name)} is not the name of an attribute (RFC 8866 §9)`)
  }
  return name
}

/** One line's worth, as binary text. */
function lineText(what: string, value: unknown): string {
  const text = String(value)
  // oxlint-disable-next-line no-control-regex
  if (/[\0\r\n]/.test(text)) throw new ScriptError(`${what}: ${show(value)} holds a line break or a NUL`)
  return encodeText(text)
}

function word(what: string, value: unknown): string {
  const text = lineText(what, value)
  if (text === '' || text.includes(' ')) throw new ScriptError(`${what}: ${show(value)} is not one word`)
  return text
}
