import { block, list } from '../block.ts'
import { amount, choice, flag, nullable, optional, path, type Kind, seconds, text } from '../scalars.ts'

/** A value of Service-Route: a SIP URI with `lr`, in angle brackets. */
function route(): Kind<string> {
  const write = 'write a SIP URI with lr, like "sip:edge.example.com;lr"'
  return text('a SIP URI with lr, like "sip:edge.example.com;lr"', (value) => {
    if (!/^<?sips?:[^\s<>",]+>?$/i.test(value)) return ['is not a SIP URI', write]
    return /;lr(?=[;=>?]|$)/i.test(value) ? null : ['has no lr: it would be a strict router', write]
  }).transform((value) => (value.startsWith('<') ? value : `<${value}>`))
}

function secret(): Kind<string> {
  const write = 'write at least 16 characters that nobody can guess, from an environment variable'
  return text('a secret', (value) => (value.length < 16 ? ['is too short', write] : null))
}

export const registrar = block('Registrations (RFC 3261 §10.3).', {
  backend: optional(
    choice(['memory', 'sqlite']),
    'memory',
    '`memory`: bindings end with the process; `sqlite`: they outlive it, in a file.',
  ),
  sqlite: block('Backend `sqlite`.', {
    path: optional(
      path('registrations.db'),
      'registrations.db',
      'The file; it belongs to one process alone. Two more may stand beside it while it is in use.',
    ),
  }),
  default_expires: optional(
    seconds(1, 31_536_000, true),
    3600,
    'Lifetime of a binding that asks for none; from `min_expires` to `max_expires`.',
  ),
  min_expires: optional(seconds(0, 31_536_000, true), 60, 'Shorter ones are refused with 423.'),
  max_expires: optional(seconds(1, 31_536_000, true), 7200, 'Longer ones are shortened to this.'),
  max_contacts: optional(
    amount(1, 10_000),
    10,
    'Contacts of one address-of-record; further ones are refused with 403.',
  ),
  enforce_auth_aor_match: optional(
    flag(),
    false,
    'A user whom the script has authenticated registers none but their own address-of-record; 403.',
  ),
  path: optional(
    choice(['strict', 'lenient']),
    'strict',
    'A REGISTER whose Path a proxy added though the phone does not say that it knows Path (RFC 3327 §5.3): refused with 420, or taken.',
  ),
  service_route: optional(
    list(route()),
    [],
    'Routes that phones shall put before their requests, in every 200 to a REGISTER (RFC 3608).',
  ),
  flow_timer_secs: optional(
    seconds(0, 3600, true),
    120,
    'Longest silence on a flow, told to phones that register by RFC 5626; 0: not told.',
  ),
  max_subscriptions: optional(
    amount(0, 1_000_000),
    10_000,
    'Subscriptions to registrations (RFC 3680) at once; further ones are refused with 503.',
  ),
  secret: nullable(
    secret(),
    'Signs flow tokens and temporary GRUUs. Default: kept in the file of `sqlite`, else drawn at each start; then flow tokens end with the process.',
  ),
})
