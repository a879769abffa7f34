import { list, optionalBlock } from '../block.ts'
import { amount, cidr, listenAddress, optional, streamListenAddress } from '../scalars.ts'

/** Of Ethernet: what a path takes unless somebody knows better. Bytes. */
export const STANDARD_MTU = 1_500

export function listenBlock() {
  return optionalBlock('Where SIP is received. Absent: UDP and TCP on 127.0.0.1:5060.', {
    udp: optional(
      list(listenAddress()),
      [],
      'UDP: entries "ip:port", or { address, advertise }; IPv6 in brackets.',
    ),
    tcp: optional(
      list(streamListenAddress()),
      [],
      'TCP, likewise, or { address, advertise, proxy_protocol }.',
    ),
    tls: optional(
      list(streamListenAddress()),
      [],
      'TLS, like tcp; needs `tls.certificate` and `tls.private_key`.',
    ),
    ws: optional(list(streamListenAddress()), [], 'WebSocket (RFC 7118), like tcp.'),
    wss: optional(list(streamListenAddress()), [], 'WebSocket over TLS, like tls.'),
    mtu: optional(
      amount(0, 65_535),
      STANDARD_MTU,
      'Path MTU, bytes: requests by UDP that are larger than this less 200 go by TCP where there is a listener for it (RFC 3261 §18.1.1); 0: none do.',
    ),
    proxy_protocol_from: optional(
      list(cidr()),
      [],
      'Networks of load balancers: entries with `proxy_protocol: true` take connections from them only.',
    ),
  })
}
