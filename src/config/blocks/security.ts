import { parseNetwork } from '../../base/network.ts'
import { block, list, optionalBlock } from '../block.ts'
import { amount, type Kind, nullable, optional, printable, required, seconds, text } from '../scalars.ts'

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. */
function network(): Kind<string> {
  const write = 'an address or a network like "192.0.2.0/24" or "2001:db8::/32"'
  return text(write, (value) => {
    if (parseNetwork(value) !== null) return null
    const [address = ''] = value.split('/')
    const part = value.includes('/') && parseNetwork(address) !== null
    return part
      ? ['is not a network: its length is out of range, or bits past it are set', `write ${write}`]
      : ['is neither an IP address nor a network', `write ${write}`]
  })
}

export const security = block('Abuse: who is refused, and how much one message and one source may cost.', {
  rate_limit: optionalBlock('A source that sends more requests than this is banned. Absent: no limit.', {
    max_requests: required(amount(1, 10_000_000), 'Requests of one source in one window.'),
    window_secs: required(seconds(0.1, 3600), 'Length of a window; it begins with a request.'),
    ban_duration_secs: optional(seconds(1, 31_536_000), 3600, 'Length of the ban.'),
  }),
  scanner_block: optionalBlock('Requests of scanners are dropped. Absent: they are not looked for.', {
    user_agents: nullable(
      list(printable('a piece of a User-Agent')),
      'Pieces of their User-Agent, in any case. Default: the names of some twenty known scanners.',
    ),
  }),
  failed_auth_ban: optionalBlock(
    'A source that fails to authenticate, or behaves like no phone, too often is banned. Absent: none is.',
    {
      threshold: required(amount(1, 1_000_000), 'Sum of weights in one window that bans.'),
      window_secs: optional(seconds(1, 86_400), 600, 'Length of a window; it begins with a failure.'),
      ban_duration_secs: required(seconds(1, 31_536_000), 'Length of the ban.'),
      strong_signal_weight: optional(
        amount(1, 1000),
        3,
        'Weight of what no phone does by accident: wrong credentials, a scanner, bytes that are not SIP. All else weighs 1, and so does this over UDP, where sources can be forged.',
      ),
    },
  ),
  trusted_cidrs: optional(
    list(network()),
    [],
    'Addresses and networks exempt from everything above: gateways, load balancers.',
  ),
  acl: block('Who may send at all. `deny` goes before `allow`, and both before everything above.', {
    allow: optional(list(network()), [], 'Only these. Empty: everybody.'),
    deny: optional(list(network()), [], 'Not these.'),
  }),
  limits: block('What one message, one connection and one source may cost.', {
    max_message_bytes: optional(
      amount(1500, 1_048_576),
      65_535,
      'Longest message; a longer one is answered with 513, or ends its WebSocket with status 1009.',
    ),
    max_header_bytes: optional(
      amount(1500, 262_144),
      32_768,
      'Longest head (start line and header fields); 513 likewise.',
    ),
    max_headers: optional(amount(20, 10_000), 256, 'Header fields of one message; 513 likewise.'),
    max_connections: optional(amount(1, 1_000_000), 16_384, 'Open connections, in all.'),
    max_connections_per_source: optional(
      amount(1, 1_000_000),
      2_048,
      'Open connections of one address, or of one IPv6 /64.',
    ),
  }),
})
