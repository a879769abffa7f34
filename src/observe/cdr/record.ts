import type { CallRecord, MediaFigures, MediaLegFigures } from '../../spine/facts.ts'

/**
 * A call record as one line of JSON, without the line's end. Whatever a peer put into a field, the line is one line for any
 * reader: what some take for a line end or a terminal command is escaped, and all text is valid Unicode.
 * @param node `server.instance_id`
 */
export function recordLine(r: CallRecord, node: string): string {
  const json = JSON.stringify({
    id: r.id,
    node: node.toWellFormed(),
    kind: r.kind,
    call_id: decode(r.callId),
    from_uri: decode(r.fromUri),
    to_uri: decode(r.toUri),
    ruri: decode(r.ruri),
    method: decode(r.method),
    timestamp_start: timestamp(r.startedAt),
    timestamp_answer: timestamp(r.answeredAt),
    timestamp_end: timestamp(r.endedAt),
    duration_secs: seconds(r.durationMs) ?? 0,
    setup_secs: seconds(r.setupMs),
    response_code: r.responseCode,
    source_ip: r.sourceIp,
    source_port: r.sourcePort,
    destination_ip: r.destinationIp,
    destination_port: r.destinationPort,
    transport: r.transport,
    user_agent: decodeOrNull(r.userAgent),
    auth_user: decodeOrNull(r.authUser),
    disconnect_initiator: r.disconnectInitiator,
    sip_reason: decodeOrNull(r.sipReason),
    legs: r.legs.map(decode),
    media: mediaOf(r.media ?? null),
    extra: parseExtra(r.extra),
  })
  return RISKY.test(json) ? json.replace(EACH_RISKY, escape) : json
}

/** Figures of the media engine, under the names of a record. Null when it carried none, or did not say. */
function mediaOf(media: MediaFigures | null): unknown {
  if (media === null) return null
  const { instance, codec, caller, callee } = media
  return { instance, codec: decodeOrNull(codec), caller: legOf(caller), callee: legOf(callee) }
}

function legOf({ packets, bytes, errors, lossPercent, jitterMs, mos }: MediaLegFigures): unknown {
  return { packets, bytes, errors, loss_percent: lossPercent, jitter_ms: jitterMs, mos }
}

/** Milliseconds of wall time as RFC 3339 in UTC; null for null and for what is not a time. */
export function timestamp(ms: number | null): string | null {
  // The largest time that RFC 3339 can write with four digits of year.
  if (ms === null || !(ms >= 0 && ms < 253_402_300_800_000)) return null
  return new Date(ms).toISOString()
}

function seconds(ms: number | null): number | null {
  return ms === null || !Number.isFinite(ms) ? null : Math.round(ms) / 1000
}

// DEL, C1 controls (NEL among them), the line and paragraph separators, the byte order mark. JSON itself escapes the C0 ones.
const RISKY = /[\u007f-\u009f\u2028\u2029\ufeff]/
const EACH_RISKY = new RegExp(RISKY, 'g')

function escape(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
}

const PLAIN = /^[\x20-\x7e]*$/
const WIDE = /[\u0100-\uffff]/

/** Binary text (a character a byte) as the UTF-8 it should be; bytes that are not become U+FFFD. */
export function decode(text: string): string {
  if (PLAIN.test(text)) return text
  // Decoded already by someone: only made well-formed.
  if (WIDE.test(text)) return text.toWellFormed()
  return Buffer.from(text, 'latin1').toString('utf8')
}

function decodeOrNull(text: string | null): string | null {
  return text === null ? null : decode(text)
}

/** The script's fields. Parsed and written anew, so that a line break between two of them cannot break the line. */
function parseExtra(text: string | null): unknown {
  if (text === null) return null
  try {
    const value: unknown = JSON.parse(text)
    // Without an escape there is nothing in it but what stands there.
    return PLAIN.test(text) && !text.includes('\\u') ? value : wellFormed(value)
  } catch {
    // The script's side has refused this already. Should it come through, it is kept as it is rather than lost.
    return { invalid_json: text.toWellFormed() }
  }
}

/** Lone surrogates, which JSON can escape but UTF-8 cannot write, become U+FFFD, in keys too. */
function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (Array.isArray(value)) return value.map(wellFormed)
  if (value === null || typeof value !== 'object') return value
  // fromEntries defines, it does not assign: a key `__proto__` stays a key.
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k.toWellFormed(), wellFormed(v)]))
}
