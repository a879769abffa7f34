import { z } from 'zod'
import { block, list, optionalBlock } from '../block.ts'
import { amount, choice, flag, ipPort, nullable, optional, printable, required, seconds } from '../scalars.ts'

const timeout = () =>
  optional(amount(50, 60_000), 1000, 'Longest wait for the answer to a command, ms; it is repeated within.')
const weight = () => optional(amount(0, 1000), 1, 'Share of new calls; 0: none (calls it has go on).')
const word = (what: string) => printable(what)

/** One direction: what the side that gets the SDP must see, in rtpengine's terms. */
const side = (description: string) =>
  block(description, {
    transport_protocol: nullable(
      choice([
        'RTP/AVP',
        'RTP/AVPF',
        'RTP/SAVP',
        'RTP/SAVPF',
        'UDP/TLS/RTP/SAVP',
        'UDP/TLS/RTP/SAVPF',
        'UDPTL',
      ]),
      'Default: as that side speaks it.',
    ),
    ice: nullable(choice(['remove', 'force', 'force-relay', 'default']), 'ICE.'),
    dtls: nullable(choice(['off', 'passive', 'active']), 'DTLS-SRTP.'),
    sdes: optional(list(word('an SDES flag')), [], 'Keys in SDP: `off`, `no-…`.'),
    replace: optional(list(word('origin')), ['origin'], 'What of the SDP is replaced besides addresses.'),
    flags: optional(list(word('a flag of rtpengine')), [], 'Flags of rtpengine, as they are.'),
    direction: optional(list(word('an interface')), [], 'Interfaces of rtpengine: from, to.'),
    address_family: nullable(choice(['IP4', 'IP6']), 'Address family.'),
    rtcp_mux: optional(
      list(choice(['offer', 'require', 'demux', 'accept', 'reject'])),
      [],
      'RTCP on the port of RTP (RFC 5761).',
    ),
    record_call: optional(flag(), false, 'Record the call.'),
  })

const profile = z.strictObject({
  offer: side('What the callee must see.'),
  answer: side('What the caller must see.'),
})

export const media = optionalBlock('Media through rtpengine. Absent: SDP passes as it is.', {
  backend: optional(choice(['rtpengine']), 'rtpengine', 'The kind of media engine.'),
  rtpengine: block('One rtpengine (`address`), or several (`instances`).', {
    address: nullable(ipPort('127.0.0.1:2223'), 'IP address and port of its NG listener (`--listen-ng`).'),
    timeout_ms: timeout(),
    weight: weight(),
    instances: nullable(
      list(
        z.strictObject({
          address: required(ipPort('127.0.0.1:2223'), 'IP address and port of its NG listener.'),
          timeout_ms: timeout(),
          weight: weight(),
        }),
      ),
      'Several, instead of `address`: entries { address, timeout_ms, weight }.',
    ),
  }),
  health_check_interval_secs: optional(
    seconds(0, 3600),
    5,
    'Between two pings of an instance; 0: one at start, then only while it is down or in doubt.',
  ),
  sdp_name: nullable(
    printable('a session name'),
    'Session name (`s=`) of the SDP that leaves. Default: unchanged.',
  ),
  profiles: z
    .record(z.string(), profile)
    .optional()
    .transform((given) => given ?? {})
    .meta({
      description:
        'Profiles of your own, by name: { offer, answer }, each with the keys of rtpengine ([media](media.md)).',
    }),
})
