import type { Dictionary } from '../base/bencode.ts'

/** What the NG protocol is told about one direction; keys and values are rtpengine's. */
export type NgFlags = Dictionary

/**
 * What each side of a call must see, in NG terms: `offer` is what the *callee* gets, `answer` what the *caller* gets. That
 * holds for the whole call: in a re-INVITE of the callee's the caller still gets `answer`.
 */
export interface Profile {
  readonly offer: NgFlags
  readonly answer: NgFlags
  /** What the caller gets besides, where the first offer is the callee's: the protocol that the caller is known to speak. */
  readonly first?: NgFlags
}

export type Profiles = Readonly<Record<string, Profile>>

const ORIGIN = { replace: ['origin'] } as const
/** Plain RTP: no ICE, no DTLS, no keys, RTCP on a port of its own. */
const PLAIN = { ...ORIGIN, ICE: 'remove', DTLS: 'off', 'rtcp-mux': ['demux'] } as const

/**
 * A side without `transport-protocol` keeps the one it speaks: rtpengine remembers it from that side's own SDP, so that an
 * answer is always in the protocol of its offer (RFC 3264 §6), RTP/SAVP or RTP/SAVPF as the phone had it.
 */
export const BUILT_IN: Profiles = {
  rtp_passthrough: { offer: ORIGIN, answer: ORIGIN },
  srtp_to_rtp: {
    offer: { ...PLAIN, 'transport-protocol': 'RTP/AVP' },
    answer: ORIGIN,
    first: { 'transport-protocol': 'RTP/SAVP', DTLS: 'off' },
  },
  rtp_to_srtp: {
    offer: { ...PLAIN, 'transport-protocol': 'RTP/SAVP' },
    answer: { ...PLAIN, 'transport-protocol': 'RTP/AVP' },
  },
  ws_to_rtp: {
    offer: { ...PLAIN, 'transport-protocol': 'RTP/AVP' },
    answer: { ...ORIGIN, ICE: 'force', 'rtcp-mux': ['require'], SDES: ['off'] },
    first: { 'transport-protocol': 'UDP/TLS/RTP/SAVPF', flags: ['generate-mid'] },
  },
  rtp_to_ws: {
    offer: {
      ...ORIGIN,
      'transport-protocol': 'UDP/TLS/RTP/SAVPF',
      ICE: 'force',
      'rtcp-mux': ['require'],
      SDES: ['off'],
      flags: ['generate-mid'],
    },
    answer: { ...PLAIN, 'transport-protocol': 'RTP/AVP' },
  },
}

export const DEFAULT_PROFILE = 'rtp_passthrough'

/** What a script adds to a profile: lists are joined, anything else replaces. */
export function withExtras(flags: NgFlags, extras: Dictionary): NgFlags {
  const result: Record<string, Dictionary[string]> = { ...flags }
  for (const [key, value] of Object.entries(extras)) {
    const own = result[key]
    result[key] = Array.isArray(own) && Array.isArray(value) ? [...new Set([...own, ...value])] : value
  }
  return result
}
