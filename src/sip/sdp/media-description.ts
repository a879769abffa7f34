import { type Direction, Section } from './section.ts'

/** A payload format of an RTP medium. */
export interface Codec {
  /** As in the `m=` line: a payload type, or the format of a medium that is no RTP. */
  readonly format: string
  /** `PCMU`, `opus`; of a static payload type also without rtpmap. '' when unknown. */
  readonly name: string
  /** Hz; 0 when unknown. */
  readonly clockRate: number
  readonly channels: number
  readonly fmtp: string | undefined
}

/** Static payload types of RFC 3551 §6 that are still met without an rtpmap. */
const STATIC: ReadonlyMap<string, readonly [name: string, clockRate: number]> = new Map([
  ['0', ['PCMU', 8000]],
  ['3', ['GSM', 8000]],
  ['4', ['G723', 8000]],
  ['8', ['PCMA', 8000]],
  ['9', ['G722', 8000]],
  ['13', ['CN', 8000]],
  ['15', ['G728', 8000]],
  ['18', ['G729', 8000]],
  ['26', ['JPEG', 90000]],
  ['31', ['H261', 90000]],
  ['34', ['H263', 90000]],
])

/** Attributes whose value begins with the payload type they are about. */
const PER_FORMAT = ['rtpmap', 'fmtp', 'rtcp-fb'] as const
/** Codecs that repeat or protect another one, named in their fmtp by its payload type (RFC 4588, RFC 2198). */
const WRAPPERS = new Set(['rtx', 'red'])
/** Not media by themselves: a medium with nothing else is as good as without a codec. */
const HELPERS = new Set(['telephone-event', 'cn', 'rtx', 'red', 'ulpfec', 'flexfec-03'])

/** One `m=` line and what follows it. */
export class MediaDescription extends Section {
  readonly #session: Section

  constructor(lines: readonly string[], eol: string, session: Section) {
    super(lines, eol)
    this.#session = session
  }

  /** `audio`, `video`, `image`, `application` … */
  get type(): string {
    return this.#m()[0]
  }

  /** 0: refused, or not wanted (RFC 3264 §6). NaN when it cannot be read. */
  get port(): number {
    return Number.parseInt(this.#m()[1], 10)
  }

  set port(port: number) {
    const [type, , protocol, formats] = this.#m()
    this.set('m', `${[type, port, protocol].join(' ')}${formats}`)
  }

  /** `RTP/AVP`, `UDP/TLS/RTP/SAVPF` … */
  get protocol(): string {
    return this.#m()[2]
  }

  set protocol(protocol: string) {
    const [type, port, , formats] = this.#m()
    this.set('m', `${[type, port, protocol].join(' ')}${formats}`)
  }

  /** In order of preference. */
  get formats(): readonly string[] {
    return this.#m()[3].split(' ').filter(Boolean)
  }

  get codecs(): readonly Codec[] {
    // Looked up rather than searched for: a stranger's 64 KiB have room for 16,000 formats and as many lines.
    const rtpmaps = this.#byFormat('rtpmap')
    const fmtps = this.#byFormat('fmtp')
    const rtp = this.protocol.includes('RTP')
    return this.formats.map((format) => codecOf(format, rtpmaps.get(format), fmtps.get(format), rtp))
  }

  /** Where media is to be sent: the medium's own `c=`, else the session's. */
  get address(): string | undefined {
    return this.connection ?? this.#session.connection
  }

  /** The medium's own direction, else the session's, else `sendrecv` (RFC 8866 §6.7). */
  get effectiveDirection(): Direction {
    return this.direction ?? this.#session.direction ?? 'sendrecv'
  }

  /**
   * Keeps the formats for which `keep` holds, and the attributes that are about them. Wrappers (rtx, red) go with what they
   * wrap. Where no codec that carries media would be left nothing is changed, because an `m=` line needs a format
   * (RFC 8866 §5.14): false.
   */
  filterCodecs(keep: (codec: Codec) => boolean): boolean {
    const codecs = this.codecs
    let kept = codecs.filter((c) => WRAPPERS.has(c.name.toLowerCase()) || keep(c))
    const carried = new Set(kept.map((c) => c.format))
    const isLeft = (format: string): boolean => carried.has(format)
    kept = kept.filter((c) => !WRAPPERS.has(c.name.toLowerCase()) || (keep(c) && wrapped(c).every(isLeft)))
    if (!kept.some((c) => !HELPERS.has(c.name.toLowerCase()))) return codecs.length === kept.length
    if (kept.length === codecs.length) return true
    const left = new Set(kept.map((c) => c.format))
    const gone = new Set(codecs.map((c) => c.format).filter((format) => !left.has(format)))
    for (const name of PER_FORMAT)
      this.removeAttribute(name, (value) => gone.has(value.split(' ', 1)[0] ?? ''))
    const [type, port, protocol] = this.#m()
    this.set('m', [type, port, protocol, ...kept.map((c) => c.format)].join(' '))
    return true
  }

  /** What an attribute says first of each format. */
  #byFormat(name: string): Map<string, string> {
    const found = new Map<string, string>()
    for (const value of this.attributesOf(name)) {
      const space = value.indexOf(' ')
      const format = value.slice(0, space)
      if (space >= 0 && !found.has(format)) found.set(format, value.slice(space + 1).trim())
    }
    return found
  }

  /** The formats keep the space before them. Cut rather than matched: `(\S*)(.*)$` takes quadratic time where a CR follows. */
  #m(): [type: string, port: string, protocol: string, formats: string] {
    const text = this.get('m') ?? ''
    const at = (from: number): number => (text.indexOf(' ', from) + 1 || text.length + 1) - 1
    const [port, protocol] = [at(0) + 1, at(at(0) + 1) + 1]
    const end = at(protocol)
    return [
      text.slice(0, port - 1),
      text.slice(port, protocol - 1),
      text.slice(protocol, end),
      text.slice(end),
    ]
  }
}

function codecOf(format: string, rtpmap: string | undefined, fmtp: string | undefined, rtp: boolean): Codec {
  const match = rtpmap === undefined ? null : /^([^/\s]+)\/(\d+)(?:\/(\d+))?/.exec(rtpmap)
  const [name = '', clockRate = 0] = rtp ? (STATIC.get(format) ?? []) : []
  if (match === null) return { format, name, clockRate, channels: 1, fmtp }
  return { format, name: match[1] ?? '', clockRate: Number(match[2]), channels: Number(match[3] ?? 1), fmtp }
}

/** Payload types that an rtx or red payload stands for. */
function wrapped({ name, fmtp = '' }: Codec): string[] {
  const types =
    name.toLowerCase() === 'rtx' ? (/apt=(\d+)/.exec(fmtp)?.[1] ?? '') : (fmtp.split(/[ ;]/)[0] ?? '')
  return types.split('/').filter((type) => /^\d+$/.test(type))
}
