/**
 * Calls go out through a group of gateways: by weight, past those that are down, and on to the next one when a call fails for
 * the gateway's sake. Calls that come from the gateways go to registered users. Needs a group `carriers` in the block
 * `gateway` of siphon.yaml.
 */
import { gateway, log, metrics, proxy, registrar } from 'siphon'

const without = metrics.counter('calls_without_gateway_total', 'Calls refused: no gateway could take them')

proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404, 'Not Here')
  if (request.method === 'INVITE') request.recordRoute()

  if (request.fromGateway('carriers')) {
    const contacts = await registrar.lookup(request.ruri)
    return contacts.length > 0 ? request.fork(contacts) : request.reply(404, 'Not Found')
  }

  const ways = await gateway.list('carriers')
  if (ways.length === 0) {
    without.inc()
    log.warn('no gateway can take a call', { to: request.toUri })
    return request.reply(503, 'No Gateway', { headers: { 'Retry-After': '30' } })
  }
  // The next one is tried after a failure that `reroute_causes` of the group name; a busy callee stays busy.
  return request.fork(ways, { strategy: 'sequential' })
})
