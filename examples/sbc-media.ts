/**
 * A session border controller with media: callers and callees see neither each other's network in SIP nor each other's
 * addresses in sound, which goes through rtpengine. The first offer and answer are put through it here; what the parties agree
 * on later, holding and resuming, follows by itself. So does the offer of a callee, where the INVITE has none, and the caller's
 * answer in its ACK. Needs the block `media` with `rtpengine` in siphon.yaml.
 */
import { b2bua, proxy, registrar, rtpengine } from 'siphon'

proxy.onRequest('REGISTER', (request) => registrar.save(request))
proxy.onRequest((request) =>
  request.reply(405, 'Method Not Allowed', { headers: { Allow: 'INVITE, REGISTER' } }),
)

b2bua.onInvite(async (call) => {
  const contacts = await registrar.lookup(call.ruri)
  if (contacts.length === 0) return call.reject(404)
  const media = await rtpengine.offer(call)
  if (!media.ok) return call.reject(503, 'No Media')
  return call.fork(contacts, { headers: 'strict', timeout: 60 })
})

b2bua.onEarlyMedia(async (call, reply) => {
  const media = await rtpengine.answer(reply)
  return media.ok ? reply.relay() : call.reject(500, 'No Media')
})

b2bua.onAnswer(async (call, reply) => {
  const media = await rtpengine.answer(reply)
  return media.ok ? reply.relay() : call.reject(500, 'No Media')
})
