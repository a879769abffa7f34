import type { Bencode } from '../../base/bencode.ts'
import { show } from './checks.ts'
import { ScriptError } from './script-error.ts'
import { encodeText } from './text.ts'

/** What a script adds to its profile, for the side that will see the SDP. Lists are added to the profile's. */
export interface MediaOptions {
  /** One of the built-in profiles, or of `media.profiles`. Default: the call's own, at first `rtp_passthrough`. */
  readonly profile?: string
  /** `RTP/AVP`, `RTP/SAVP`, `RTP/SAVPF`, `UDP/TLS/RTP/SAVPF` … */
  readonly transportProtocol?: string
  readonly ice?: 'remove' | 'force' | 'force-relay' | 'default'
  readonly dtls?: 'off' | 'passive' | 'active'
  /** `off`, `no-AES_CM_128_HMAC_SHA1_32` … */
  readonly sdes?: readonly string[]
  /** `origin`, `session-name`, `username` … */
  readonly replace?: readonly string[]
  /** `strict-source`, `symmetric`, `port-latching`, `record-call` … */
  readonly flags?: readonly string[]
  /** rtpengine's interfaces: towards the sender, towards the receiver. */
  readonly direction?: readonly [string, string]
  readonly addressFamily?: 'IP4' | 'IP6'
  /** `offer`, `require`, `demux`, `accept`, `reject` */
  readonly rtcpMux?: readonly string[]
  readonly recordCall?: boolean
}

const NAMES: Readonly<Record<Exclude<keyof MediaOptions, 'profile' | 'recordCall'>, string>> = {
  transportProtocol: 'transport-protocol',
  ice: 'ICE',
  dtls: 'DTLS',
  sdes: 'SDES',
  replace: 'replace',
  flags: 'flags',
  direction: 'direction',
  addressFamily: 'address-family',
  rtcpMux: 'rtcp-mux',
}

/** @internal The options as the NG protocol names them. */
export function ngFlags(options: MediaOptions): Record<string, Bencode> {
  const flags: Record<string, Bencode> = {}
  for (const [key, value] of Object.entries(options) as [string, unknown][]) {
    if (key === 'profile' || value === undefined) continue
    if (key === 'recordCall') {
      if (value === true) flags['record call'] = 'yes'
      continue
    }
    const name = NAMES[key as keyof typeof NAMES] as string | undefined
    if (name === undefined)
      throw new ScriptError(`${show(key)} is not an option of rtpengine.offer and answer`)
    if (typeof value === 'string') flags[name] = encodeText(value)
    else if (Array.isArray(value)) flags[name] = value.map((item: unknown) => encodeText(String(item)))
    else throw new ScriptError(`${key} is ${show(value)}, not text or a list of texts`)
  }
  return flags
}
