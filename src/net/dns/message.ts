import { decodeName, encodeName } from './name.ts'
import type { DnsRecord, NaptrRecord, Question, RecordType } from './records.ts'

/** DNS messages (RFC 1035 §4) as a stub resolver needs them: one question out, the answer in. */

const CODES: Readonly<Record<RecordType, number>> = { A: 1, AAAA: 28, SRV: 33, NAPTR: 35 }
const CNAME = 5
const SOA = 6
const OPT = 41
const CLASS_IN = 1

/** What may come back in one datagram, octets: fits every path without fragments (RFC 6891 §6.2.5). */
const UDP_PAYLOAD = 1232

/** Length of the chain of aliases that is followed. */
const MAX_ALIASES = 8

export const NOERROR = 0
export const FORMERR = 1
export const NXDOMAIN = 3

/** What a server says to a question. */
export interface Reply {
  readonly rcode: number
  /** Did not fit: to be asked again over TCP. */
  readonly truncated: boolean
  /** Of the type asked for, of the name or what it is an alias of. */
  readonly records: readonly DnsRecord[]
  /** Seconds: the least of what led to the records; without records how long to believe it (RFC 2308 §5), or null. */
  readonly ttl: number | null
  /** The server answers for itself or asks others; neither of both: it only points elsewhere. */
  readonly competent: boolean
}

/** Null when the name cannot be asked for. */
export function encodeQuery(id: number, { name, type }: Question, edns: boolean): Buffer | null {
  const encoded = encodeName(name)
  if (encoded === null) return null
  const head = Buffer.alloc(12)
  head.writeUInt16BE(id, 0)
  // RD: the servers of resolv.conf do the walking.
  head.writeUInt16BE(0x0100, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(edns ? 1 : 0, 10)
  const tail = Buffer.alloc(4)
  tail.writeUInt16BE(CODES[type], 0)
  tail.writeUInt16BE(CLASS_IN, 2)
  if (!edns) return Buffer.concat([head, encoded, tail])
  const opt = Buffer.alloc(11)
  opt.writeUInt16BE(OPT, 1)
  opt.writeUInt16BE(UDP_PAYLOAD, 3)
  return Buffer.concat([head, encoded, tail, opt])
}

/** Null for what is no answer to this very question: garbage, another's, or forged. */
export function decodeReply(bytes: Buffer, id: number, question: Question): Reply | null {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== id) return null
  const flags = bytes.readUInt16BE(2)
  // QR set, opcode QUERY.
  if ((flags & 0xf800) !== 0x8000) return null
  const rcode = flags & 0xf
  const truncated = (flags & 0x0200) !== 0
  const competent = (flags & 0x0480) !== 0
  const bare: Reply = { rcode, truncated, records: [], ttl: null, competent }
  const questions = bytes.readUInt16BE(4)
  // A server that did not understand the question need not repeat it.
  if (questions === 0 && rcode === FORMERR) return bare
  if (questions !== 1) return null
  const asked = decodeName(bytes, 12)
  if (asked === null || asked.end + 4 > bytes.length) return null
  if (asked.name !== question.name || bytes.readUInt16BE(asked.end) !== CODES[question.type]) return null
  // What did not fit is of no use, and may end anywhere.
  if (truncated || (rcode !== NOERROR && rcode !== NXDOMAIN)) return bare
  const answers = readRecords(bytes, asked.end + 4, bytes.readUInt16BE(6))
  if (answers === null) return null
  const found = select(answers.records, question)
  if (found.records.length > 0) return { ...bare, ...found }
  const authority = readRecords(bytes, answers.end, bytes.readUInt16BE(8))
  return { ...bare, ttl: authority === null ? null : negativeTtl(authority.records) }
}

interface RawRecord {
  readonly name: string
  readonly type: number
  readonly ttl: number
  readonly bytes: Buffer
  /** Of the data within `bytes`. */
  readonly start: number
  readonly end: number
}

function readRecords(
  bytes: Buffer,
  start: number,
  count: number,
): { readonly records: readonly RawRecord[]; readonly end: number } | null {
  const records: RawRecord[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const owner = decodeName(bytes, at)
    if (owner === null || owner.end + 10 > bytes.length) return null
    const type = bytes.readUInt16BE(owner.end)
    const klass = bytes.readUInt16BE(owner.end + 2)
    const ttl = bytes.readUInt32BE(owner.end + 4)
    const data = owner.end + 10
    const end = data + bytes.readUInt16BE(owner.end + 8)
    if (end > bytes.length) return null
    // RFC 2181 §8: a TTL with the highest bit set counts as 0.
    if (klass === CLASS_IN) {
      records.push({ name: owner.name, type, ttl: ttl > 0x7fffffff ? 0 : ttl, bytes, start: data, end })
    }
    at = end
  }
  return { records, end: at }
}

/** The records of the name asked for, through its aliases. */
function select(
  raw: readonly RawRecord[],
  question: Question,
): { readonly records: readonly DnsRecord[]; readonly ttl: number | null } {
  let { name } = question
  let ttl = Infinity
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const owned = raw.filter((r) => r.name === name)
    const records: DnsRecord[] = []
    for (const record of owned) {
      if (record.type !== CODES[question.type]) continue
      const read = readData(record, question.type)
      if (read === null) continue
      records.push(read)
      ttl = Math.min(ttl, record.ttl)
    }
    if (records.length > 0) return { records, ttl }
    const alias = owned.find(({ type }) => type === CNAME)
    const to = alias === undefined ? null : decodeName(alias.bytes, alias.start)
    if (alias === undefined || to === null) break
    ttl = Math.min(ttl, alias.ttl)
    name = to.name
  }
  return { records: [], ttl: null }
}

/** One record's data; null when it is not of its form. */
function readData({ bytes, start, end }: RawRecord, type: RecordType): DnsRecord | null {
  switch (type) {
    case 'A':
      return end - start === 4 ? { type, address: [...bytes.subarray(start, end)].join('.') } : null
    case 'AAAA':
      return end - start === 16 ? { type, address: ipv6Text(bytes, start) } : null
    case 'SRV': {
      const target = end - start < 7 ? null : decodeName(bytes, start + 6)
      if (target === null || target.end !== end) return null
      return {
        type,
        priority: bytes.readUInt16BE(start),
        weight: bytes.readUInt16BE(start + 2),
        port: bytes.readUInt16BE(start + 4),
        target: target.name,
      }
    }
    case 'NAPTR':
      return readNaptr(bytes, start, end)
  }
}

function readNaptr(bytes: Buffer, start: number, end: number): NaptrRecord | null {
  const texts: string[] = []
  let at = start + 4
  for (let i = 0; i < 3; i++) {
    const size = bytes[at]
    if (size === undefined || at + 1 + size > end) return null
    texts.push(bytes.toString('latin1', at + 1, at + 1 + size))
    at += 1 + size
  }
  const replacement = at < end ? decodeName(bytes, at) : null
  if (replacement === null || replacement.end !== end) return null
  const [flags = '', service = ''] = texts
  return {
    type: 'NAPTR',
    order: bytes.readUInt16BE(start),
    preference: bytes.readUInt16BE(start + 2),
    flags,
    service,
    replacement: replacement.name,
  }
}

/** RFC 2308 §5: the lesser of the SOA's own TTL and its MINIMUM. */
function negativeTtl(authority: readonly RawRecord[]): number | null {
  const soa = authority.find(({ type }) => type === SOA)
  if (soa === undefined) return null
  const primary = decodeName(soa.bytes, soa.start)
  const mailbox = primary === null ? null : decodeName(soa.bytes, primary.end)
  // Serial, refresh, retry, expire, minimum.
  if (mailbox === null || mailbox.end + 20 !== soa.end) return null
  return Math.min(soa.ttl, soa.bytes.readUInt32BE(mailbox.end + 16))
}

/** RFC 5952: as every other part of the server writes it, so that two texts of one address are equal. */
function ipv6Text(bytes: Buffer, start: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(start + 2 * i).toString(16))
  const { hostname } = new URL(`http://[${groups.join(':')}]`)
  return hostname.slice(1, -1)
}
