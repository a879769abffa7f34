import { block, list } from '../block.ts'
import { amount, nameServer, optional, seconds } from '../scalars.ts'

/** How names become addresses, and what happens when an address does not answer. */
export const dnsBlock = block('Finding the next hop by name (RFC 3263).', {
  servers: optional(
    list(nameServer()),
    [],
    'Name servers: entries "ip" or "ip:port", asked in this order. Empty: those of /etc/resolv.conf.',
  ),
  timeout_secs: optional(
    seconds(0.05, 30),
    1,
    'Longest wait for one name server, before the next one is asked.',
  ),
  deadline_secs: optional(
    seconds(0.1, 30),
    4,
    'Longest search for one next hop, all its questions together; it then ends with 503.',
  ),
  attempt_secs: optional(
    seconds(0, 32),
    1,
    'How long an INVITE waits for a first answer before the next target of its hop gets it, other requests four times as long; 0: until timers B and F.',
  ),
  avoid_secs: optional(
    seconds(0, 3600),
    30,
    'How long a target that failed comes after the others of its hop; 0: not at all.',
  ),
  min_ttl_secs: optional(seconds(0, 3600, true), 1, 'An answer is kept at least so long.'),
  max_ttl_secs: optional(seconds(1, 604_800, true), 86_400, 'An answer is kept at most so long.'),
  max_negative_ttl_secs: optional(
    seconds(0, 86_400, true),
    300,
    'An answer that says that there is nothing is kept at most so long.',
  ),
  max_stale_secs: optional(
    seconds(0, 604_800, true),
    3600,
    'While no name server answers, answers serve so long past their end; 0: not at all.',
  ),
  cache_size: optional(amount(100, 1_000_000), 10_000, 'Answers remembered; the longest unused one goes.'),
})
