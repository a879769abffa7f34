import { b2bua, cdr, metrics, proxy, registrar, timer, type Contact, type RequestHandler } from 'siphon'

/**
 * What must not compile in a script. Checked by `npm run check`: an expected error that does not come is an error.
 * Nothing here runs.
 */
const calls = metrics.counter('calls_total', 'Calls', { labels: ['direction', 'result'] })
const plain = metrics.gauge('plain', 'No labels')
const size = metrics.histogram('size_bytes', 'Sizes', { labels: ['kind'], buckets: [1, 2] })

export function labels(): void {
  calls.labels({ direction: 'in', result: 'ok' }).inc()
  size.labels({ kind: 'a' }).observe(3)
  plain.set(3)
  // @ts-expect-error a label is missing
  calls.labels({ direction: 'in' }).inc()
  // @ts-expect-error no such label
  calls.labels({ direction: 'in', result: 'ok', colour: 'red' }).inc()
  // @ts-expect-error misspelled
  calls.labels({ direction: 'in', resutl: 'ok' }).inc()
  // @ts-expect-error a counter cannot be set
  calls.labels({ direction: 'in', result: 'ok' }).set(3)
}

export function handlers(): void {
  proxy.onRequest((request) => request.relay())
  proxy.onRequest('INVITE|BYE', async (request) => request.relay())
  // @ts-expect-error a path without a verdict
  proxy.onRequest((request) => {
    if (request.inDialog) return request.relay()
  })
  // @ts-expect-error an asynchronous path without a verdict
  proxy.onRequest(async (request) => {
    if (request.inDialog) return request.relay()
  })
  // @ts-expect-error the verdict is made but not returned
  proxy.onRequest((request) => {
    request.relay()
  })
  // @ts-expect-error verdicts come from the verbs only
  proxy.onRequest(() => ({ do: 'relay', target: null }))
  // @ts-expect-error a forgotten verdict of the registrar
  proxy.onRequest('REGISTER', (request) => void registrar.save(request))
  // @ts-expect-error the request has gone: only the reply can be decided
  proxy.onReply((request) => request.relay())
  // @ts-expect-error a reply needs a verdict too
  proxy.onReply((_request, reply) => {
    reply.setHeader('X', '1')
  })
  proxy.onReply((_request, reply) => reply.relay())
  proxy.onFailure((request, reply) => (reply.statusCode === 486 ? request.relay('sip:a@b') : reply.relay()))
  proxy.onCancel(() => {})
}

export function calls2(): void {
  b2bua.onInvite((call) =>
    call.sourceIp === '10.0.0.1' ? call.proxy() : call.dial('sip:a@b', { timeout: 3 }),
  )
  // @ts-expect-error a path without a verdict
  b2bua.onInvite((call) => {
    if (call.sourceIp === '10.0.0.1') return call.reject(403)
  })
  // @ts-expect-error the verdict is made but not returned
  b2bua.onInvite((call) => {
    call.dial('sip:a@b')
  })
  // @ts-expect-error a transfer is not to be decided here
  b2bua.onInvite((call) => call.acceptRefer())
  b2bua.onInvite((call) => (call.replaces ? call.acceptReplaces() : call.reject(404)))
  // @ts-expect-error nobody's place is to be taken here
  b2bua.onRefer((call) => call.acceptReplaces())
  // @ts-expect-error the callee has its INVITE
  b2bua.onAnswer((call, reply) => (call.setHeader('X', '1'), reply.relay()))
  // @ts-expect-error an answered call is not dialled again
  b2bua.onAnswer((call) => call.dial('sip:a@b'))
  // @ts-expect-error no such policy
  b2bua.onInvite((call) => call.dial('sip:a@b', { headers: 'some' }))
  b2bua.onFailure((call, reply) => (reply.statusCode === 486 ? call.dial('sip:a@b') : reply.relay()))
  b2bua.onRefer((call) => call.rejectRefer())
  // @ts-expect-error its record has been made
  b2bua.onBye((call) => cdr.write(call))
  b2bua.onBye((call) => void call.side)
}

export const others: RequestHandler = async (request) => {
  // @ts-expect-error contacts must be awaited
  const early: readonly Contact[] = registrar.lookup(request.ruri)
  void early
  cdr.write(request, { extra: { a: 1 } })
  // @ts-expect-error not an object
  cdr.write(request, { extra: 3 })
  // @ts-expect-error fork needs a list
  void request.fork('sip:a@b')
  // @ts-expect-error no such strategy
  void request.fork(['sip:a@b'], { strategy: 'random' })
  // @ts-expect-error the method is read only
  request.method = 'BYE'
  request.authUser = 'alice'
  timer.every(30, () => {}, { name: 'a', jitter: 1 })
  // @ts-expect-error seconds come first
  timer.every(() => {}, 30)
  return request.reply(200)
}
