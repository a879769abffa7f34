/**
 * Registrar and proxy for users who log in. Needs the block `auth` in siphon.yaml, which says who they are: `users`, or a service.
 *
 * A phone registers with its user's password (401); a user of ours who calls proves who they are (407) and calls under
 * their own name; anybody may call in, to users of ours and to nobody else.
 */
import { auth, cdr, proxy, registrar, type ScriptRequest, type Verdict } from 'siphon'

const domains = ['example.com', '127.0.0.1']
const isOurs = (uri: string): boolean => domains.includes(/^sips?:(?:[^@]*@)?([^;:?]+)/i.exec(uri)?.[1] ?? '')

proxy.onRequest((request) => {
  // A request within a dialog follows the route that its first request recorded.
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404, 'Not Here')

  if (request.method === 'REGISTER') return auth.requireDigest(request, () => registrar.save(request))

  // From names a user of ours: let them prove it. What follows happens only then.
  if (isOurs(request.fromUri)) {
    return auth.requireProxyDigest(
      request,
      (who) => {
        cdr.write(request, { extra: { account: who.user } })
        return isOurs(request.ruri) ? ring(request) : request.reply(403, 'No Calls Out')
      },
      { matchFrom: true },
    )
  }

  return isOurs(request.ruri) ? ring(request) : request.reply(403, 'Not For Us')
})

/** All phones of the user who was called. */
async function ring(request: ScriptRequest): Promise<Verdict> {
  const contacts = await registrar.lookup(request.ruri)
  // Who may not exist is answered like who is not there: nobody learns the names of our users.
  if (contacts.length === 0) return request.reply(480)
  request.recordRoute()
  return request.fork(contacts)
}
