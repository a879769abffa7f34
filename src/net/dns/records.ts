/** The four kinds of record that lead to a SIP server (RFC 3263). */
export type RecordType = 'A' | 'AAAA' | 'SRV' | 'NAPTR'

export const RECORD_TYPES: readonly RecordType[] = ['A', 'AAAA', 'SRV', 'NAPTR']

export interface AddressRecord {
  readonly type: 'A' | 'AAAA'
  readonly address: string
}

/** RFC 2782. Names are lower case, without the last dot; the root is ''. */
export interface SrvRecord {
  readonly type: 'SRV'
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
}

/** RFC 3403. Flags and service are as written. */
export interface NaptrRecord {
  readonly type: 'NAPTR'
  readonly order: number
  readonly preference: number
  readonly flags: string
  readonly service: string
  readonly replacement: string
}

export type DnsRecord = AddressRecord | SrvRecord | NaptrRecord

/** What is known of a name and a type. */
export interface Answer {
  /** `none`: there is no such record, or no such name. `failed`: nobody told, in time or at all. */
  readonly outcome: 'found' | 'none' | 'failed'
  /** All of the type asked for; empty unless found. */
  readonly records: readonly DnsRecord[]
}

export interface Question {
  /** Lower case, without the last dot. */
  readonly name: string
  readonly type: RecordType
}

export const NONE: Answer = { outcome: 'none', records: [] }
export const FAILED: Answer = { outcome: 'failed', records: [] }
