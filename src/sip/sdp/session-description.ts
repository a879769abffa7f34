import { parseOrigin, type Origin } from './origin.ts'
import { MediaDescription } from './media-description.ts'
import { Section } from './section.ts'

/**
 * A session description (RFC 8866) as lines: what nobody edits is printed byte for byte, in order, understood or not.
 * Text is binary text (a character a byte). Whatever the text, parsing succeeds; what cannot be read is simply not found.
 */
export class SessionDescription {
  /** Everything before the first `m=`. */
  readonly session: Section
  #media: MediaDescription[]

  private constructor(session: Section, media: MediaDescription[]) {
    this.session = session
    this.#media = media
  }

  static parse(text: string): SessionDescription {
    const sections: string[][] = [[]]
    // The last line may lack its end; a line end is CRLF, or LF as some write it.
    for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
      if (line.startsWith('m=')) sections.push([])
      sections.at(-1)?.push(line)
    }
    const eol = /\r?\n/.exec(text)?.[0] ?? '\r\n'
    const [session = [], ...media] = sections
    const first = new Section(session, eol)
    return new SessionDescription(
      first,
      media.map((lines) => new MediaDescription(lines, eol, first)),
    )
  }

  /** In order; `m=` lines keep their places in an answer (RFC 3264 §6). */
  get media(): readonly MediaDescription[] {
    return this.#media
  }

  /** `o=`; undefined when there is none that can be read. */
  get origin(): Origin | undefined {
    const text = this.session.get('o')
    return text === undefined ? undefined : parseOrigin(text)
  }

  set origin(origin: Origin) {
    const { username, sessionId, version, netType, addressType, address } = origin
    this.session.set('o', `${username} ${sessionId} ${version} ${netType} ${addressType} ${address}`)
  }

  /** Takes the media of a type out, lines and all: right in an offer that has not been sent yet. Tells how many. */
  drop(type: string): number {
    const kept = this.#media.filter((m) => m.type !== type)
    const dropped = this.#media.length - kept.length
    this.#media = kept
    return dropped
  }

  toString(): string {
    return this.session.toString() + this.#media.map(String).join('')
  }
}
