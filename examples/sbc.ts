/**
 * A session border controller: callers and callees never see each other's network. Each leg has its own Call-ID, tags, Via
 * and Contact, and only the header fields of the strict list cross (docs/b2bua.md).
 */
import { b2bua, cdr, log, metrics, proxy, registrar } from 'siphon'

const calls = metrics.counter('sbc_calls_total', 'Calls offered to the SBC', { labels: ['result'] })

proxy.onRequest('REGISTER', (request) => registrar.save(request))
// What is not a call has no business here. Requests within calls are the B2BUA's and never come to a script.
proxy.onRequest((request) =>
  request.reply(405, 'Method Not Allowed', { headers: { Allow: 'INVITE, REGISTER' } }),
)

b2bua.onInvite(async (call) => {
  const contacts = await registrar.lookup(call.ruri)
  if (contacts.length === 0) {
    calls.labels({ result: 'unknown' }).inc()
    return call.reject(404)
  }
  cdr.write(call, { extra: { trunk: 'inside' } })
  call.sessionTimer(1800)
  return call.fork(contacts, { headers: 'strict', timeout: 60 })
})

b2bua.onAnswer((_call, reply) => {
  calls.labels({ result: 'answered' }).inc()
  reply.removeHeader('Server')
  return reply.relay()
})

b2bua.onFailure((_call, reply) => {
  calls.labels({ result: 'failed' }).inc()
  return reply.relay()
})

b2bua.onBye((call) => log.info('call over', { id: call.id, by: call.side }))
