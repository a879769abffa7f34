import { block } from '../block.ts'
import { amount, choice, flag, optional, seconds } from '../scalars.ts'

export const nat = block('Phones behind NATs.', {
  fix_contact: optional(
    flag(),
    false,
    'Contacts with another address than their REGISTER came from are reached where it came from, as after `request.fixNatedRegister()`.',
  ),
  keepalive: block('Pings towards phones that are registered over UDP from behind a NAT, or by RFC 5626.', {
    enabled: optional(flag(), true, 'Send them.'),
    method: optional(
      choice(['crlf', 'null', 'options']),
      'crlf',
      '`crlf` and `null`: four bytes that nobody answers; `options`: an OPTIONS, which tells whether the phone is there.',
    ),
    interval_secs: optional(seconds(1, 3600), 30, 'From one ping of a phone to the next.'),
    failure_threshold: optional(
      amount(1, 100),
      3,
      'OPTIONS without an answer, one after another, that end a flow registered by RFC 5626.',
    ),
  }),
})
