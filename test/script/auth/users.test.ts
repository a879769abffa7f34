import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { HttpUsers } from '../../../src/script/auth/http-users.ts'
import type { HttpUsersSettings } from '../../../src/script/auth/settings.ts'
import { UserCache } from '../../../src/script/auth/user-cache.ts'
import { staticUsers, type Users, UsersUnavailable } from '../../../src/script/auth/users.ts'
import type { Secret } from '../../../src/sip/auth/digest.ts'

async function backend(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  settings: Partial<HttpUsersSettings> & { readonly template?: string } = {},
) {
  const asked: string[] = []
  let connections = 0
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    answer(request, response)
  })
  server.on('connection', () => connections++)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const told: string[] = []
  const users = new HttpUsers(
    {
      url: `http://127.0.0.1:${port}${settings.template ?? '/u/{username}?realm={realm}'}`,
      timeoutMs: 2_000,
      connectTimeoutMs: 1_000,
      ha1: false,
      cacheTtlMs: 0,
      authHeader: null,
      ...settings,
    },
    (outcome) => told.push(outcome),
  )
  t.after(() => {
    users.close()
    server.closeAllConnections()
    server.close()
  })
  return { users, asked, told, connections: () => connections }
}

const find = async (users: Users, user: string): Promise<Secret | null | 'unavailable'> =>
  users.find(user, 'example.com').catch((error: unknown) => {
    assert.ok(error instanceof UsersUnavailable)
    return 'unavailable' as const
  })

describe('users of an HTTP service', () => {
  it('200 is the secret, 404 nobody, over one connection', async (t) => {
    const made = await backend(t, (request, response) => {
      if (request.url?.startsWith('/u/alice?')) response.end('s3crét\n')
      else response.writeHead(404).end()
    })
    assert.deepEqual(await find(made.users, 'alice'), { password: 's3cr\xc3\xa9t' })
    assert.equal(await find(made.users, 'nobody'), null)
    assert.deepEqual(await find(made.users, 'alice'), { password: 's3cr\xc3\xa9t' })
    assert.equal(made.asked[0], '/u/alice?realm=example.com')
    assert.deepEqual(made.told, ['found', 'unknown', 'found'])
    assert.equal(made.connections(), 1)
  })

  it('names travel as data, whatever they are', async (t) => {
    const made = await backend(t, (_, response) => response.writeHead(404).end(), {
      authHeader: 'Bearer tok',
    })
    for (const user of ['../../admin', 'a/b?c#d', 'J\xc3\xbcrgen', '\xff', 'a\r\nX: y', '{realm}', '$&']) {
      assert.equal(await find(made.users, user), null)
    }
    assert.deepEqual(
      made.asked.map((url) => url.slice(3, url.indexOf('?'))),
      [
        '..%2F..%2Fadmin',
        'a%2Fb%3Fc%23d',
        'J%C3%BCrgen',
        '%EF%BF%BD',
        'a%0D%0AX%3A%20y',
        '%7Brealm%7D',
        '%24%26',
      ],
    )
    const before = made.asked.length
    for (const user of ['.', '..', '', 'x'.repeat(300)]) assert.equal(await find(made.users, user), null)
    assert.equal(made.asked.length, before)
  })

  it('hashes, plain or as JSON', async (t) => {
    const [md5, sha] = ['0123456789abcdef0123456789ABCDEF', 'ab'.repeat(32)]
    const bodies: Record<string, readonly [string, string]> = {
      plain: ['text/plain', md5],
      long: ['text/plain', sha],
      short: ['text/plain', 'abc'],
      json: ['application/json; charset=utf-8', JSON.stringify({ ha1: { 'SHA-512-256': sha, MD5: md5 } })],
      password: ['application/json', '{"password":"p"}'],
      proto: ['application/json', '{"__proto__":{"password":"x"}}'],
      broken: ['application/json', '{'],
      empty: ['text/plain', ''],
    }
    const made = await backend(
      t,
      (request, response) => {
        const [type = '', body = ''] = bodies[request.url?.slice(1) ?? ''] ?? []
        response.writeHead(200, { 'Content-Type': type }).end(body)
      },
      { ha1: true, template: '/{username}' },
    )
    assert.deepEqual(await find(made.users, 'plain'), { ha1: { MD5: md5.toLowerCase() } })
    assert.deepEqual(await find(made.users, 'long'), { ha1: { 'SHA-256': sha } })
    assert.deepEqual(await find(made.users, 'json'), { ha1: { MD5: md5.toLowerCase(), 'SHA-512-256': sha } })
    assert.deepEqual(await find(made.users, 'password'), { password: 'p' })
    for (const user of ['short', 'proto', 'broken', 'empty']) {
      assert.equal(await find(made.users, user), 'unavailable', user)
    }
  })

  it('what cannot tell is not believed: errors, redirects, endless answers, silence', async (t) => {
    const made = await backend(
      t,
      (request, response) => {
        const user = request.url?.slice(3)
        if (user?.startsWith('silent')) return
        if (user?.startsWith('redirect')) response.writeHead(302, { Location: '/u/alice' }).end()
        else if (user?.startsWith('endless')) {
          response.writeHead(200)
          const timer = setInterval(() => response.write('y'.repeat(1_000)), 1)
          response.on('close', () => clearInterval(timer))
        } else if (user?.startsWith('cut')) request.socket.destroy()
        else response.writeHead(user?.startsWith('401') ? 401 : 500).end('secret')
      },
      { timeoutMs: 300 },
    )
    for (const user of ['redirect', 'endless', 'cut', '401', '500', 'silent']) {
      assert.equal(await find(made.users, user), 'unavailable', user)
    }
    assert.deepEqual(made.told, ['error', 'error', 'error', 'error', 'error', 'timeout'])
  })

  it('a closed port', async () => {
    const server = createTcpServer()
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    await new Promise((done) => server.close(done))
    const told: string[] = []
    const settings = { timeoutMs: 2_000, connectTimeoutMs: 500, ha1: false, cacheTtlMs: 0, authHeader: null }
    const users = new HttpUsers({ ...settings, url: `http://127.0.0.1:${port}/{username}` }, (o) =>
      told.push(o),
    )
    assert.equal(await find(users, 'alice'), 'unavailable')
    assert.deepEqual(told, ['error'])
  })
})

describe('the cache of users', () => {
  const slow = () => {
    const waiting: PromiseWithResolvers<Secret | null>[] = []
    const users: Users = {
      find: () => {
        const asked = Promise.withResolvers<Secret | null>()
        waiting.push(asked)
        return asked.promise
      },
    }
    return { users, waiting }
  }
  const cached = (ttlMs: number, capacity = 100) => {
    const { users, waiting } = slow()
    const state = { now: 0, hits: 0 }
    const cache = new UserCache(users, { ttlMs, capacity, now: () => state.now, onHit: () => state.hits++ })
    return { cache, waiting, state }
  }

  it('one question at a time for a user, whoever asks', async () => {
    const { cache, waiting, state } = cached(0)
    const both = [cache.find('alice', 'r'), cache.find('alice', 'r')]
    void cache.find('alice', 'other').catch(() => undefined)
    assert.equal(waiting.length, 2)
    waiting[0]?.resolve({ password: 'p' })
    assert.deepEqual(await Promise.all(both), [{ password: 'p' }, { password: 'p' }])
    void cache.find('alice', 'r')
    assert.equal(waiting.length, 3, 'nothing is remembered')
    assert.equal(state.hits, 0)
  })

  it('remembers known and unknown users alike, for a while', async () => {
    const { cache, waiting, state } = cached(1000)
    for (const [i, secret] of [{ password: 'p' }, null].entries()) {
      const asked = cache.find(`u${i}`, 'r')
      waiting[i]?.resolve(secret)
      await asked
    }
    state.now = 999
    assert.deepEqual(await cache.find('u0', 'r'), { password: 'p' })
    assert.equal(await cache.find('u1', 'r'), null)
    assert.equal(state.hits, 2)
    state.now = 1000
    void cache.find('u1', 'r')
    assert.equal(waiting.length, 3)
  })

  it('remembers no failure', async () => {
    const { cache, waiting } = cached(1000)
    const asked = [cache.find('alice', 'r'), cache.find('alice', 'r')]
    waiting[0]?.reject(new UsersUnavailable('down'))
    for (const one of asked) await assert.rejects(one, UsersUnavailable)
    void cache.find('alice', 'r')
    assert.equal(waiting.length, 2)
  })

  it('is bounded', async () => {
    const { cache, waiting, state } = cached(1000, 2)
    for (let i = 0; i < 3; i++) {
      const asked = cache.find(`u${i}`, 'r')
      waiting[i]?.resolve(null)
      await asked
    }
    await cache.find('u2', 'r')
    await cache.find('u1', 'r')
    assert.equal(state.hits, 2)
    void cache.find('u0', 'r')
    assert.equal(waiting.length, 4)
  })
})

describe('users of the file', () => {
  it('any name is a name', async () => {
    const users = staticUsers([['__proto__', { password: 'p' }]])
    assert.deepEqual(await users.find('__proto__', 'r'), { password: 'p' })
    assert.equal(await users.find('constructor', 'r'), null)
  })
})
