/**
 * Calls go out over a group of carriers: the next one is tried when one is out of order or does not answer in time, and not
 * when the callee is busy or refuses (`reroute_causes` of the group says which is which). Those that are known to be down are
 * passed over. The call is one attempt and one record, whoever carried it. Needs a group `carriers` in the block `gateway` of
 * siphon.yaml.
 */
import { b2bua, cdr, gateway, log } from 'siphon'

b2bua.onInvite(async (call) => {
  if (!/^(sips?:[^@;]+@|tel:)/.test(call.ruri)) return call.reject(484)
  const carriers = await gateway.list('carriers')
  if (carriers.length === 0) return call.reject(503, 'No Carrier', { headers: { 'Retry-After': '30' } })
  call.removeHeader('P-Asserted-Identity')
  return call.fork(carriers, { strategy: 'sequential', timeout: 20, headers: 'strict' })
})

b2bua.onAnswer((call, reply) => {
  cdr.write(call, { extra: { pdd_seconds: reply.elapsedSeconds } })
  return reply.relay()
})

b2bua.onFailure((call, reply) => {
  log.warn('no carrier took the call', { id: call.id, status: reply.statusCode })
  return reply.relay()
})
