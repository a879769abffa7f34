/**
 * A proxy and registrar that keeps media in its hands: every call's RTP goes through an rtpengine, so that phones behind NAT
 * hear each other and nobody learns the other's address. Needs the block `media` with `rtpengine` in siphon.yaml.
 *
 * Media is deleted when the call ends, however it ends: there is nothing to do for it here.
 */
import { log, metrics, proxy, registrar, rtpengine, sdp } from 'siphon'

/** What the callee and the caller must see; `srtp_to_rtp`, `ws_to_rtp` … for callers with encrypted media. */
const PROFILE = 'rtp_passthrough'
/** What both sides are left to choose from. */
const CODECS = ['opus', 'PCMU', 'PCMA', 'telephone-event']

const anchored = metrics.counter('media_anchored_total', 'Offers and answers, by what became of them', {
  labels: ['result'],
})

proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)

  // A re-INVITE or UPDATE has SDP of its own; rtpengine knows the call already.
  if (request.inDialog) {
    if (!request.looseRoute()) return request.reply(404, 'Not Here')
    const media =
      request.method === 'INVITE' || request.method === 'UPDATE' ? await rtpengine.offer(request) : null
    return media !== null && !media.ok ? request.reply(500, 'Media Failure') : request.relay()
  }

  const contacts = await registrar.lookup(request.ruri)
  if (contacts.length === 0) return request.reply(404, 'Not Found')
  if (request.method !== 'INVITE') return request.fork(contacts)

  // An INVITE without SDP would have its offer in the 200 and its answer in the ACK, which no script sees.
  if (!sdp.has(request)) return request.reply(488, 'Offer Needed')
  const offer = sdp.parse(request)
  if (!offer.filterCodecs(CODECS)) return request.reply(488, 'No Common Codec')
  offer.apply(request)

  request.recordRoute() // The BYE must come through here, too.
  const media = await rtpengine.offer(request, { profile: PROFILE })
  anchored.labels({ result: media.ok ? 'ok' : media.reason }).inc()
  if (!media.ok) {
    log.warn('no media', { why: media.what })
    return request.reply(503, 'No Media', { headers: { 'Retry-After': 5 } })
  }
  return request.fork(contacts)
})

proxy.onReply('INVITE|UPDATE', async (_request, reply) => {
  // 18x and 2xx with SDP; what has none passes as it is.
  const media = await rtpengine.answer(reply)
  if (!media.ok) {
    anchored.labels({ result: media.reason }).inc()
    log.warn('no media for an answer', { why: media.what })
  }
  return reply.relay()
})
