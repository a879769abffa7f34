/**
 * The script of the monitoring page, in TypeScript: a counter with labels, a gauge and a histogram that appear on
 * /metrics beside the built-in ones, and a field of its own in the Call Detail Record.
 *
 * It keeps nothing in variables: the handlers of one call may run in different workers, each with variables of its
 * own. Metrics add up over all workers, and what belongs to a call comes with the request and the reply.
 */
import { cdr, log, metrics, proxy, registrar, timer } from 'siphon'

const calls = metrics.counter('calls_total', 'Calls processed', { labels: ['direction', 'result'] })
const active = metrics.gauge('calls_active', 'Active calls', { labels: ['direction'] })
const setup = metrics.histogram('call_setup_seconds', 'INVITE to 200 latency', {
  buckets: [0.1, 0.25, 0.5, 1, 2.5, 5],
})
const inbound = active.labels({ direction: 'inbound' })
const count = (result: 'ok' | 'failed' | 'cancelled'): void =>
  calls.labels({ direction: 'inbound', result }).inc()

proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  if (request.inDialog) {
    if (!request.looseRoute()) return request.reply(404, 'Not Here')
    if (request.method === 'BYE') inbound.dec()
    return request.relay()
  }
  if (request.method === 'INVITE') {
    cdr.write(request, { extra: { billing_id: 'B-12345' } })
    request.recordRoute()
  }
  const contacts = await registrar.lookup(request.ruri)
  if (contacts.length > 0) return request.fork(contacts)
  if (request.method === 'INVITE') count('failed')
  return request.reply(404, 'Not Found')
})

proxy.onReply('INVITE', (request, reply) => {
  // An INVITE within a dialog changes a call; it does not begin one.
  if (!request.inDialog && reply.statusCode >= 200 && reply.statusCode < 300) {
    count('ok')
    inbound.inc()
    setup.observe(reply.elapsedSeconds)
  }
  return reply.relay()
})

// Once for a call, whatever the number of phones that refused it.
proxy.onFailure('INVITE', (request, reply) => {
  if (!request.inDialog) count('failed')
  return reply.relay()
})

proxy.onCancel('INVITE', (request) => {
  if (!request.inDialog) count('cancelled')
})

timer.every(30, async () => log.info('healthy'), { name: 'health', jitter: 5 })
