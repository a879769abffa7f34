import { auth, proxy, registrar, type Authenticated, type ScriptRequest, type Verdict } from 'siphon'

/** Forms in which a script would forget to authenticate. None compiles: decision 0012. Nothing here runs. */

export function handlers(): void {
  // How it is done.
  proxy.onRequest('REGISTER', (request) => auth.requireDigest(request, () => registrar.save(request)))
  proxy.onRequest(async (request) => {
    if (request.method === 'OPTIONS') return request.reply(200)
    return auth.requireProxyDigest(
      request,
      async (who) => {
        const contacts = await registrar.lookup(request.ruri)
        request.setHeader('X-User', `${who.user}@${who.realm}`)
        return contacts.length > 0 ? request.fork(contacts) : request.reply(404)
      },
      { matchFrom: true, realm: 'example.com', algorithms: ['SHA-256'], password: (user) => `${user}!` },
    )
  })

  proxy.onRequest('REGISTER', async (request) => {
    // @ts-expect-error asked, and nothing said about what follows
    await auth.requireDigest(request)
    return registrar.save(request)
  })
  proxy.onRequest('REGISTER', async (request) => {
    // @ts-expect-error a promise is always true: the missing await
    if (auth.requireDigest(request, () => registrar.save(request))) return registrar.save(request)
    return request.reply(403)
  })
  proxy.onRequest('REGISTER', async (request) => {
    const verdict = await auth.requireDigest(request, () => registrar.save(request))
    // @ts-expect-error the verdict says nothing about who it was: there is no result to misread
    if (!verdict.ok) return verdict
    return registrar.save(request)
  })
  proxy.onRequest('REGISTER', async (request) => {
    // @ts-expect-error the original's form: a verdict is no boolean
    const ok: boolean = await auth.requireDigest(request, () => registrar.save(request))
    return ok ? registrar.save(request) : request.reply(403)
  })
  // @ts-expect-error what came of it is not returned
  proxy.onRequest('REGISTER', (request) => {
    void auth.requireDigest(request, () => registrar.save(request))
  })
  // @ts-expect-error nor here
  proxy.onRequest('REGISTER', async (request) => {
    await auth.requireDigest(request, () => registrar.save(request))
  })
  proxy.onRequest('INVITE', (request) =>
    // @ts-expect-error a path of what follows decides nothing
    auth.requireDigest(request, (who) => {
      if (who.user === 'alice') return request.relay()
    }),
  )
  proxy.onRequest('INVITE', (request) =>
    // @ts-expect-error what follows must decide
    auth.requireDigest(request, () => true),
  )
  // @ts-expect-error a request that has been forwarded is asked nothing any more
  proxy.onReply((request, reply) => auth.requireDigest(request, () => reply.relay()))
}

export async function verified(request: ScriptRequest): Promise<Verdict> {
  // @ts-expect-error the missing await
  if (auth.verifyDigest(request)) return request.relay()
  const who = await auth.verifyDigest(request)
  // @ts-expect-error it may be nobody
  const user: string = who.user
  // @ts-expect-error it may be nobody
  const known: Authenticated = who
  void [user, known]
  return who === undefined ? request.reply(403) : request.relay()
}
