/**
 * Click to dial: a MESSAGE from the web application names two phones. The first is called; when it answers, the second; and
 * when that answers, the two talk. Here the body is `{ "from": "sip:alice@…", "to": "sip:bob@…" }`.
 */
import { b2bua, log, proxy, registrar } from 'siphon'

/** Where somebody is registered, or the URI itself. */
async function locate(uri: string): Promise<string> {
  const [contact] = await registrar.lookup(uri)
  return contact?.uri ?? uri
}

proxy.onRequest('MESSAGE', async (request) => {
  let wish: { from?: unknown; to?: unknown }
  try {
    wish = JSON.parse(request.bodyText) as typeof wish
  } catch {
    return request.reply(400, 'Not JSON')
  }
  const { from, to } = wish
  if (typeof from !== 'string' || typeof to !== 'string') return request.reply(400, 'Needs from and to')
  const id = await b2bua.originate({
    to: await locate(from),
    from: to,
    connect: await locate(to),
    timeout: 30,
    headers: { 'Alert-Info': '<urn:alert:service:normal>;info=click-to-dial' },
  })
  log.info('click to dial', { id, from, to })
  return request.reply(202, undefined, { headers: { 'X-Call': id } })
})

proxy.onRequest('REGISTER', (request) => registrar.save(request))
