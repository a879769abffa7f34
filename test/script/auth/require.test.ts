import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { digestHash } from '../../../src/base/digest-hash.ts'
import { processTime } from '../../../src/base/clock.ts'
import type { Outcome } from '../../../src/core/verdict.ts'
import type { AuthSettings } from '../../../src/script/auth/settings.ts'
import { authServices } from '../../../src/server/auth-services.ts'
import { DigestClient } from '../../../src/sip/auth/digest-client.ts'
import { HeaderFields } from '../../../src/sip/message/header-fields.ts'
import { Response } from '../../../src/sip/message/message.ts'
import type { Authenticated } from '../../../src/spine/facts.ts'
import { job, rig, type Asked } from '../support.ts'

const SETTINGS: AuthSettings = {
  realm: 'example.com',
  domains: ['example.com'],
  algorithms: ['SHA-256', 'MD5'],
  qop: ['auth'],
  nonceTtlMs: 3_600_000,
  nonceKey: 'key',
  nonceEpochMs: Date.now() - processTime(),
  users: [
    ['alice', { password: 'secret' }],
    ['al"ic\\e', { password: 'p"w' }],
  ],
  http: null,
}

const verdict = (outcome: Outcome) => {
  assert.ok(outcome.ok, JSON.stringify(outcome))
  return outcome.decision.verdict
}
const code = (outcome: Outcome): number | string => {
  if (!outcome.ok) return outcome.reason
  const { verdict: v } = outcome.decision
  return v.do === 'reply' ? v.code : v.do
}
const response = (outcome: Outcome): Response => {
  const v = verdict(outcome)
  assert.ok(v.do === 'reply')
  const headers = new HeaderFields()
  for (const [name, value] of v.headers) headers.append(name, value)
  return new Response(v.code, 'x', headers)
}

async function serve(t: TestContext, script: string, settings: Partial<AuthSettings> = {}) {
  const facts: Authenticated[] = []
  const r = await rig(t, script, {
    supervisor: { settings: { auth: { ...SETTINGS, ...settings } } },
    services: (spine) => {
      spine.authenticated.subscribe((fact) => facts.push(fact))
      return new Map(authServices(spine, 0))
    },
  })
  assert.ok(r.started.ok, JSON.stringify(r.started))
  const client = (user = 'alice', password = 'secret') => {
    let chance = 0
    return new DigestClient({
      account: { user, secret: { password }, realm: null },
      hash: digestHash,
      chance: () => `c${++chance}`,
    })
  }
  /** Asks, answers the challenge, and gives both outcomes. */
  const login = async (asked: Asked, user?: string, password?: string) => {
    const bare = job(asked)
    const first = await r.run(bare)
    const again = client(user, password).retry(response(first), bare.request, 0)
    assert.ok(again)
    const second = { ...bare, request: again }
    return { first, second: await r.run(second), job: second }
  }
  const reasons = (): (string | null)[] => facts.map(({ reason }) => reason)
  return { ...r, facts, reasons, client, login, response }
}

const SCRIPT = `import { auth, proxy, registrar } from 'siphon'
proxy.onRequest('REGISTER', (request) => auth.requireDigest(request, (who) => {
  request.setHeader('X-Who', who.user + '@' + who.realm)
  return registrar.save(request)
}))
proxy.onRequest('INVITE', async (request) => auth.requireProxyDigest(request, () => request.relay(), { matchFrom: true }))
proxy.onRequest('MESSAGE', async (request) => {
  const who = await auth.verifyDigest(request)
  return request.reply(who === undefined ? 480 : 200, who?.user)
})
proxy.onRequest('OPTIONS', (request) => auth.requireDigest(request, () => request.reply(200), {
  realm: 'other', algorithms: ['MD5'], password: (user) => user === 'bob' ? 'bobs' : undefined }))
`
const REGISTER: Asked = { method: 'REGISTER', uri: 'sip:example.com' }

describe('a script that asks who sent a request', () => {
  it('challenges, lets the user in once, and refuses the same again', async (t) => {
    const r = await serve(t, SCRIPT)
    const { first, second, job: sent } = await r.login(REGISTER)
    const asked = r.response(first)
    assert.equal(asked.status, 401)
    assert.deepEqual(
      asked.headers.all('www-authenticate').map((v) => /algorithm=[^,]*/.exec(v)?.[0]),
      ['algorithm=SHA-256', 'algorithm=MD5'],
    )
    assert.deepEqual(verdict(second), { do: 'save' })
    assert.ok(second.ok)
    assert.equal(second.decision.authUser, 'alice')
    assert.deepEqual(second.decision.edits, [
      ['set', 'X-Who', 'alice@example.com'],
      ['remove', 'Authorization'],
    ])
    const replayed = r.response(await r.run(sent))
    assert.equal(replayed.status, 401)
    assert.match(replayed.headers.first('www-authenticate') ?? '', /stale=true/)
    assert.deepEqual(r.reasons(), ['none', null, 'replayed'])
    assert.deepEqual(
      r.facts.map(({ ok }) => ok),
      [false, true, false],
    )
    assert.deepEqual(r.facts[1]?.path, sent.path)
  })

  it('asks the caller of a b2bua call, and the credentials do not cross', async (t) => {
    const r = await serve(
      t,
      `import { auth, b2bua } from 'siphon'
      b2bua.onInvite((call) => auth.requireProxyDigest(call, (who) => call.dial('sip:' + who.user + '@10.0.0.1')))`,
    )
    const call = { id: 'c', state: 'calling', side: null, referTo: null, replaces: false } as const
    const bare = { ...job({ kind: 'invite' }), call }
    const first = await r.run(bare)
    assert.equal(code(first), 407)
    const again = r.client().retry(r.response(first), bare.request, 0)
    assert.ok(again)
    const second = await r.run({ ...bare, request: again })
    assert.ok(second.ok)
    assert.equal(second.decision.verdict.do, 'dial')
    assert.equal(second.decision.authUser, 'alice')
    assert.deepEqual(second.decision.edits, [['remove', 'Proxy-Authorization']])
  })

  it('judges the request as it came, whatever the script has made of it since', async (t) => {
    const r = await serve(
      t,
      `import { auth, b2bua, proxy } from 'siphon'
      b2bua.onInvite((call) => {
        call.setBody('v=1', 'text/plain')
        if (!call.hasHeader('X-Twice')) return call.proxy()
        return auth.requireProxyDigest(call, () => call.proxy(), { keepCredentials: true })
      })
      proxy.onRequest('INVITE', (request) => auth.requireProxyDigest(request, () => request.relay()))
      proxy.onRequest('REGISTER', (request) => {
        request.removeHeader('Authorization')
        request.setRuri('sip:elsewhere.example')
        return auth.requireDigest(request, () => request.relay())
      })`,
      { qop: ['auth-int'] },
    )
    const registered = await r.login({ ...REGISTER, body: 'v=0' })
    assert.equal(code(registered.first), 401)
    assert.equal(code(registered.second), 'relay')
    const call = { id: 'c', state: 'calling', side: null, referTo: null, replaces: false } as const
    for (const headers of [[], [['X-Twice', '1']]] as const) {
      const typed = [...headers, ['Content-Type', 'text/plain']] as const
      const bare = { ...job({ kind: 'invite', body: 'v=0', headers: typed }), call }
      const signed = r.client().retry(r.response(await r.run(bare)), bare.request, 0)
      assert.ok(signed)
      const second = await r.run({ ...bare, request: signed })
      assert.equal(code(second), 'relay', String(headers))
    }
    assert.deepEqual(r.reasons(), ['none', null, 'none', null, 'none', null])
  })

  it('tells nobody whether it was the name or the password', async (t) => {
    const r = await serve(t, SCRIPT)
    const wrong = await r.login(REGISTER, 'alice', 'guess')
    const nobody = await r.login(REGISTER, 'nobody', 'guess')
    const [a, b] = [r.response(wrong.second), r.response(nobody.second)].map((answer) =>
      answer.headers.fields.map(({ name, value }) => `${name}: ${value.replace(/nonce="[^"]*"/, '')}`),
    )
    assert.deepEqual(a, b)
    assert.equal(code(wrong.second), 401)
    assert.deepEqual(r.reasons(), ['none', 'wrong', 'none', 'unknown_user'])
  })

  it('counts with a nonce, from any worker', async (t) => {
    const r = await serve(t, SCRIPT)
    const mine = r.client()
    const bare = job(REGISTER)
    mine.retry(r.response(await r.run(bare)), bare.request, 0)
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () =>
        r.run({ ...job(REGISTER), request: mine.sign(job(REGISTER).request) }),
      ),
    )
    assert.deepEqual(new Set(outcomes.map(code)), new Set(['save']))
  })

  it('a stale nonce, a forged one, broken credentials', async (t) => {
    const r = await serve(t, SCRIPT, { nonceTtlMs: -1 })
    const late = r.response((await r.login(REGISTER)).second)
    assert.match(late.headers.first('www-authenticate') ?? '', /stale=true/)
    const forged = `Digest username="a", realm="example.com", nonce="${'0'.repeat(60)}", uri="sip:example.com", response="x"`
    const ask = (value: string) => r.run(job({ ...REGISTER, headers: [['Authorization', value]] }))
    const asked = r.response(await ask(forged))
    assert.equal(asked.status, 401)
    assert.doesNotMatch(asked.headers.first('www-authenticate') ?? '', /stale/)
    assert.equal(code(await ask('Digest realm="example.com"')), 400)
    assert.deepEqual(r.reasons(), ['none', 'stale', 'forged_nonce', 'malformed'])
  })

  it('names and passwords with quotes, backslashes and letters beyond ASCII', async (t) => {
    const r = await serve(t, SCRIPT, {
      users: [
        ['al"ic\\e', { password: 'p"w' }],
        ['J\xc3\xbcrgen', { password: 'gr\xc3\xbcn' }],
      ],
    })
    assert.equal(code((await r.login(REGISTER, 'al"ic\\e', 'p"w')).second), 'save')
    const { second } = await r.login(REGISTER, 'J\xc3\xbcrgen', 'gr\xc3\xbcn')
    assert.ok(second.ok)
    assert.equal(second.decision.authUser, 'J\xc3\xbcrgen')
    assert.deepEqual(second.decision.edits[0], ['set', 'X-Who', 'J\xc3\xbcrgen@example.com'])
  })

  it('407 for calls; From must be the user; what was for us goes no further', async (t) => {
    const r = await serve(t, SCRIPT, {
      users: [
        ['alice', { password: 'secret' }],
        ['bob', { password: 'secret' }],
      ],
    })
    const theirs = 'Digest realm="carrier", username="x"'
    const called = await r.login({ headers: [['Proxy-Authorization', theirs]] })
    assert.equal(r.response(called.first).status, 407)
    assert.deepEqual(verdict(called.second), { do: 'relay', target: null })
    assert.ok(called.second.ok)
    assert.deepEqual(called.second.decision.edits, [
      ['remove', 'Proxy-Authorization'],
      ['add', 'Proxy-Authorization', theirs],
    ])
    assert.equal(code((await r.login({}, 'bob')).second), 403)
  })

  it('verifyDigest asks nobody', async (t) => {
    const r = await serve(t, SCRIPT)
    assert.equal(code(await r.run(job({ method: 'MESSAGE' }))), 480)
    const asked = job({ ...REGISTER, uri: 'sip:bob@example.com' })
    const challenge = r.response(await r.run(asked))
    const message = { ...job({ method: 'MESSAGE' }) }
    const signed = r.client().retry(challenge, message.request, 0)
    assert.ok(signed)
    assert.equal(code(await r.run({ ...message, request: signed })), 200)
    assert.equal(code(await r.run({ ...message, request: signed })), 480, 'used up')
  })

  it('the script may bring its own realm, algorithms and users', async (t) => {
    const r = await serve(t, SCRIPT, { users: [], realm: null })
    const { first, second } = await r.login({ method: 'OPTIONS' }, 'bob', 'bobs')
    assert.equal(r.response(first).headers.count('www-authenticate'), 1)
    assert.match(r.response(first).headers.first('www-authenticate') ?? '', /realm="other".*algorithm=MD5/)
    assert.equal(code(second), 200)
    assert.equal(code((await r.login({ method: 'OPTIONS' }, 'alice', 'bobs')).second), 401)
    const none = await r.run(job(REGISTER))
    assert.ok(!none.ok)
    assert.match(none.what, /there is no realm/)
  })
})

describe('a script that does not keep to what it asked lets nobody in', () => {
  const forgotten: readonly (readonly [string, string])[] = [
    [
      'not awaited',
      'auth.requireDigest(request, () => registrar.save(request)); return registrar.save(request)',
    ],
    [
      'awaited and dropped',
      'await auth.requireDigest(request, () => registrar.save(request)); return registrar.save(request)',
    ],
    [
      'taken for a truth',
      'if (await auth.requireDigest(request, () => request.next())) return registrar.save(request)',
    ],
    [
      'caught',
      'try { await auth.requireDigest(request, () => { throw new Error("x") }) } catch {} return registrar.save(request)',
    ],
    [
      'decided by itself',
      'await auth.requireDigest(request, () => request.reply(200)); return request.reply(403)',
    ],
    ['no function', 'await auth.requireDigest(request); return registrar.save(request)'],
    ['no verdict', 'return auth.requireDigest(request, () => true)'],
    [
      'raced',
      'return Promise.race([auth.requireDigest(request, () => registrar.save(request)), registrar.save(request)])',
    ],
  ]
  const cases = forgotten.map(([name, code]) => `    case ${JSON.stringify(name)}: { ${code} }`).join('\n')
  const script = `import { auth as typed, proxy, registrar } from 'siphon'
const auth = typed as any
let ran = 0
proxy.onRequest('MESSAGE', (request) => request.reply(200, String(ran)))
proxy.onRequest(async (request: any): Promise<any> => {
  switch (request.getHeader('X-Case')) {
${cases}
    case 'abandoned': { auth.requireDigest(request, () => { ran++; return request.reply(200) }); return request.reply(404) }
    case 'kept': return auth.requireDigest(request, () => auth.requireDigest(request, () => registrar.save(request)))
    case 'passed on': return auth.requireDigest(request, () => request.next())
  }
  return request.reply(400)
})
proxy.onRequest('REGISTER', (request) => registrar.save(request))
`
  it('refused or not', async (t) => {
    const r = await serve(t, script)
    const asked = (name: string): Asked => ({ ...REGISTER, headers: [['X-Case', name]] })
    const { second, job: good } = await r.login(asked('kept'))
    assert.equal(code(second), 'save')
    assert.equal(code((await r.login(asked('passed on'))).second), 'save')
    // Credentials that are good, under the name of each mistake.
    const mine = r.client()
    mine.retry(r.response(await r.run(job(asked('kept')))), good.request, 0)
    for (const [name] of [...forgotten, ['abandoned']]) {
      const bare = await r.run(job(asked(name ?? '')))
      const signed = await r.run({ ...good, request: mine.sign(job(asked(name ?? '')).request) })
      for (const [how, outcome] of [
        ['without', bare],
        ['with', signed],
      ] as const) {
        if (how === 'without' && name === 'no verdict') assert.equal(code(outcome), 401)
        else assert.match(String(code(outcome)), /^(auth_ignored|exception)$/, `${name}, ${how} credentials`)
      }
    }
    assert.equal(r.failed.filter(({ reason }) => reason === 'auth_ignored').length, 14)
    const ran = verdict(await r.run(job({ method: 'MESSAGE' })))
    assert.ok(ran.do === 'reply')
    assert.equal(ran.reason, '0', 'what was to follow did not')
  })
})
