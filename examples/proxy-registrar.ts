/**
 * The quick start: registrar and proxy for the domains of siphon.yaml, with metrics of its own.
 *
 * Phones register; a call to a registered user rings on all of his phones; everything else is refused.
 */
import { cdr, log, metrics, proxy, registrar } from 'siphon'

const registrations = metrics.counter('registrations_total', 'REGISTER requests handled')
const routed = metrics.counter('calls_routed_total', 'Calls routed, by what was found', {
  labels: ['result'],
})
const branches = metrics.histogram('call_branches', 'Phones a call was sent to', {
  buckets: [1, 2, 3, 5, 10],
})
const found = routed.labels({ result: 'found' })
const missing = routed.labels({ result: 'not_found' })

proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') {
    registrations.inc()
    return registrar.save(request)
  }

  // A request within a dialog follows the route that its first request recorded.
  if (request.inDialog) {
    return request.looseRoute() ? request.relay() : request.reply(404, 'Not Here')
  }

  const contacts = await registrar.lookup(request.ruri)
  if (request.method !== 'INVITE') {
    return contacts.length > 0 ? request.fork(contacts) : request.reply(404, 'Not Found')
  }

  if (contacts.length === 0) {
    missing.inc()
    log.info('nobody there', { to: request.toUri })
    return request.reply(404, 'Not Found')
  }
  found.inc()
  branches.observe(contacts.length)
  cdr.write(request, { extra: { branches: contacts.length } })
  request.recordRoute() // Later requests of this call come through here, too.
  return request.fork(contacts)
})
