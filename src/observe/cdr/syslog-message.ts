import { timestamp } from './record.ts'
import type { Entry } from './outbox.ts'

/** Facility local0 (16), severity informational (6): RFC 5424 §6.2.1. */
const PRI = 16 * 8 + 6

/** What every message of this process bears. */
export interface SyslogOrigin {
  /** HOSTNAME: printable US-ASCII, at most 255; other characters become `_`. */
  readonly hostname: string
  /** PROCID. */
  readonly procId: string
}

/**
 * A record as an RFC 5424 message: no structured data, MSGID `CDR`, and the JSON as MSG. UTF-8 without a byte order mark: the
 * RFC's mark would have to be cut off by whoever parses the JSON.
 */
export function syslogMessage(entry: Entry, origin: SyslogOrigin): Buffer {
  const host = header(origin.hostname, 255)
  return Buffer.from(
    `<${PRI}>1 ${timestamp(entry.at) ?? '-'} ${host} siphon ${header(origin.procId, 128)} CDR - ${entry.line}`,
  )
}

function header(text: string, length: number): string {
  return text.replace(/[^\x21-\x7e]/g, '_').slice(0, length) || '-'
}
