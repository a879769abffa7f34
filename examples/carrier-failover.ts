/**
 * Two carriers: the second one is tried when the first is out of order or does not answer in time, and not when the callee is
 * busy or refuses. The call is one attempt and one record, whoever carried it.
 */
import { b2bua, cdr, log } from 'siphon'

const carriers = [
  process.env['CARRIER_1'] ?? 'sip:carrier1.example.net',
  process.env['CARRIER_2'] ?? 'sip:carrier2.example.net',
]
/** Nobody there, overloaded, or out of order: somebody else may do better. */
const REROUTE = [408, 500, 502, 503, 504]

b2bua.onInvite((call) => {
  const number = /^sips?:([^@;]+)@/.exec(call.ruri)?.[1]
  if (number === undefined) return call.reject(484)
  call.removeHeader('P-Asserted-Identity')
  return call.fork(
    carriers.map((carrier) => carrier.replace(/^sips?:/, `$&${number}@`)),
    { strategy: 'sequential', rerouteOn: REROUTE, timeout: 20, headers: 'strict' },
  )
})

b2bua.onAnswer((call, reply) => {
  cdr.write(call, { extra: { pdd_seconds: reply.elapsedSeconds } })
  return reply.relay()
})

b2bua.onFailure((call, reply) => {
  log.warn('no carrier took the call', { id: call.id, status: reply.statusCode })
  return reply.relay()
})
