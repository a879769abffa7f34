import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, describe, it } from 'node:test'
import { adminExamples, adminPage, askExample } from '../../support/admin-examples.ts'
import { alice, lab } from './lab.ts'

/** Sends bytes as they are and returns all that comes back. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.end(bytes, 'latin1')
  return text(socket)
}

function get(path: string, method = 'GET', fields = ''): string {
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${fields}\r\n`
}

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
}

describe('docs/admin-api.md', async () => {
  const { base, server } = await lab({ token: 's3cret' })
  after(() => server.close())
  it('has examples', () => assert.equal(adminExamples.length, 19))
  for (const example of adminExamples) {
    it(`${example.method} ${example.path} ${example.status}`, async () => {
      const answer = await askExample(base, example)
      assert.equal(answer.status, example.status)
      assert.deepEqual(await answer.json(), example.body)
      assert.match(
        answer.headers.get('content-type') ?? '',
        answer.ok ? /^application\/json/ : /^application\/problem\+json/,
      )
    })
  }
  it('documents every endpoint of the OpenAPI document and no other', async () => {
    const document = (await (await fetch(`${base}/admin/openapi.json`)).json()) as {
      openapi: string
      paths: Record<string, object>
    }
    assert.match(document.openapi, /^3\.1\./)
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((m) => `${m.toUpperCase()} ${path}`),
    )
    const documented = [...adminPage.matchAll(/^## ((?:GET|DELETE|POST) \S+)$/gm)]
      .map((m) => m[1])
      .filter((e) => e !== 'GET /metrics')
    assert.deepEqual(documented.sort(), described.filter((e) => !e.startsWith('HEAD')).sort())
  })
})

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, object>> }>>
}

describe('the OpenAPI document', async () => {
  const open = await lab()
  const closed = await lab({ token: 's3cret', protectReads: true })
  after(() => Promise.all([open.server.close(), closed.server.close()]))
  const operations = async (base: string): Promise<Map<string, Operation['responses']>> => {
    const headers = { authorization: 'Bearer s3cret' }
    const document = (await (await fetch(`${base}/admin/openapi.json`, { headers })).json()) as {
      paths: Record<string, Record<string, Operation>>
    }
    const all = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { responses }]) => [`${method} ${path}`, responses] as const),
    )
    return new Map(all)
  }
  it('gives every error as what it is sent as', async () => {
    for (const [name, responses] of await operations(open.base)) {
      for (const [status, { content }] of Object.entries(responses)) {
        const stuck = status === '503' && /health|ready/.test(name)
        const type = status === '200' || stuck ? 'application/json' : 'application/problem+json'
        assert.deepEqual(Object.keys(content), [type], `${status} of ${name}`)
      }
    }
  })
  it('declares 400 wherever there is a parameter, 401 wherever the token is asked for, 403 where there is none', async () => {
    for (const { base, token } of [
      { base: open.base, token: false },
      { base: closed.base, token: true },
    ]) {
      for (const [name, responses] of await operations(base)) {
        const parameter = name.includes('{') || /get \/admin\/(?:registrations|calls|bans)$/.test(name)
        assert.equal('400' in responses, parameter, name)
        const probe = /health|ready/.test(name)
        assert.equal('401' in responses, token && !probe, name)
        assert.equal('403' in responses, !token, name)
      }
    }
  })
})

describe('health and ready', async () => {
  const { base, port, server } = await lab({ token: 't', protectReads: true })
  after(() => server.close())
  it('health is 503 once the engine has not ticked for 10 s, and stays 200 through a drain', async () => {
    port.state = 'draining'
    assert.equal((await fetch(`${base}/admin/health`)).status, 200)
    port.tickedMsAgo = 10_000
    const stuck = await fetch(`${base}/admin/health`)
    assert.equal(stuck.status, 503)
    assert.deepEqual(await stuck.json(), { status: 'stuck', uptime_seconds: 12 })
  })
  for (const state of ['starting', 'draining'] as const) {
    it(`ready is 503 while ${state}`, async () => {
      port.state = state
      const answer = await fetch(`${base}/admin/ready`)
      assert.equal(answer.status, 503)
      assert.deepEqual(await answer.json(), { status: state })
    })
  }
})

describe('token', async () => {
  const open = await lab({ token: 's3cret' })
  const closed = await lab({ token: 's3cret', protectReads: true })
  after(() => Promise.all([open.server.close(), closed.server.close()]))
  const remove = (authorization: string) =>
    fetch(`${open.base}/admin/registrations/nobody@example.com`, {
      method: 'DELETE',
      headers: { authorization },
    })
  for (const wrong of [
    '',
    'Bearer',
    'Bearer x',
    'Bearer s3cre',
    'Bearer s3crett',
    'Basic s3cret',
    's3cret',
  ]) {
    it(`refuses '${wrong}'`, async () => {
      const answer = await remove(wrong)
      assert.equal(answer.status, 401)
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
    })
  }
  it('accepts the token', async () => assert.equal((await remove('Bearer s3cret')).status, 404))
  it('leaves reads open, unless protect_reads', async () => {
    for (const path of [
      '/admin/stats',
      '/admin/registrations',
      '/admin/calls',
      '/metrics',
      '/admin/openapi.json',
    ]) {
      assert.equal((await fetch(open.base + path)).status, 200, path)
      assert.equal((await fetch(closed.base + path)).status, 401, path)
      assert.equal((await fetch(closed.base + path, { method: 'HEAD' })).status, 401, path)
      assert.equal(
        (await fetch(closed.base + path, { headers: { authorization: 'bearer s3cret' } })).status,
        200,
        path,
      )
    }
    assert.equal((await fetch(`${closed.base}/admin/health`)).status, 200)
    assert.equal((await fetch(`${closed.base}/admin/ready`)).status, 200)
  })
})

describe('paths and methods', async () => {
  const { address, port, server } = await lab()
  after(() => server.close())
  const cases: readonly [request: string, status: number][] = [
    [get('/admin/nope'), 404],
    [get('/'), 404],
    [get('/admin/health?x=1'), 200],
    [get('/admin/health', 'HEAD'), 200],
    [get('/admin/HEALTH'), 404],
    [get('/admin/health/'), 404],
    [get('//admin/health'), 400],
    [get('/admin//health'), 400],
    [get('/admin/../admin/health'), 400],
    [get('/admin/%2e%2e/health'), 400],
    [get('/admin/registrations/a%2fb@example.com'), 404],
    [get('/admin/registrations/..%2fhealth'), 400],
    [get('/admin/registrations/a%2f%2e%2e%2fcalls'), 400],
    [get('/admin/registrations/a%2F%2Fb'), 400],
    [get('/admin/registrations/%2Fa'), 400],
    [get('/admin/registrations/a%2F'), 404],
    [get('/admin/registrations/a/b'), 404],
    [get('/admin/registrations%2Fa'), 400],
    [get('/admin%2Fhealth'), 400],
    [get('/admin/health%2F'), 400],
    [get('/admin/calls/a%2fb', 'DELETE'), 400],
    [get('/admin/bans/192.0.2.1%2F64', 'DELETE'), 400],
    [get('/admin/bans/2001:db8:0:1::%2F64', 'DELETE'), 404],
    [get('/admin/gateways/carriers/sip%3Aa%2Fb%40gw.example/up', 'POST', 'Content-Length: 0\r\n'), 404],
    [get('/admin/registrations/a%5Cb'), 400],
    [get('/admin/registrations/a%00'), 400],
    [get('/admin/registrations/%zz'), 400],
    [get(`/admin/registrations/${'a'.repeat(3000)}`), 414],
    [get(`/${'a'.repeat(65_536)}`), 431],
    [get('http://evil/admin/health'), 400],
    [get('/admin/health', 'TRACE'), 405],
    [get('/admin/health', 'POST', 'Content-Length: 0\r\n'), 405],
    [get('/admin/registrations', 'DELETE'), 405],
    [get('/admin/registrations?limit=0'), 400],
    [get('/admin/registrations?limit=x'), 400],
    [get('/admin/registrations?lim=1'), 400],
    [get('/admin/registrations?cursor=zzz'), 400],
    [get('/admin/registrations?cursor=7'), 400],
    [get('/admin/registrations?cursor=7.1'), 200],
    [get('/admin/registrations?limit=1&cursor=zzz'), 400],
    [get('/admin/registrations?cursor='), 400],
    [get('/admin/registrations?cursor=zzz', 'HEAD'), 400],
    [get('/admin/calls?cursor=zzz'), 400],
    [get('/admin/calls?cursor=1.1'), 400],
    [get('/admin/calls?cursor=1'), 200],
    [get('/admin/bans?cursor=-1'), 400],
    [get('/admin/bans?cursor=1'), 200],
    [get('/admin/registrations/__proto__'), 404],
    [
      get('/admin/registrations/bob@x', 'DELETE', 'Content-Type: application/json\r\nContent-Length: 2\r\n') +
        '{}',
      404,
    ],
    [
      get(
        '/admin/registrations/bob@x',
        'DELETE',
        'Content-Type: application/json\r\nContent-Length: 99999\r\n',
      ),
      413,
    ],
    [get('/admin/registrations/bob@x', 'DELETE', 'Origin: http://evil\r\n'), 403],
    ['GET /admin/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n', 403],
    ['GET /admin/health HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['REGISTER sip:x SIP/2.0\r\n\r\n', 400],
    ['\x16\x03\x01\x02\x00', 400],
  ]
  for (const [request, status] of cases) {
    it(`${JSON.stringify(request.slice(0, 60))} gets ${status}`, async () => {
      const answer = await raw(address.port, request)
      assert.equal(statusOf(answer), status, answer)
      // Node itself answers a request without Host, in no format of ours.
      if (status >= 400 && request.includes('Host'))
        assert.match(answer, /content-type: application\/problem\+json/i)
    })
  }
  for (const ip of [
    'zz',
    'example.com',
    '192.0.2',
    '192.0.2.66:5060',
    '[2001:db8::1]',
    '192.0.2.66%20',
    '1',
  ]) {
    it(`has no ban of ${ip}, which is no address`, async () => {
      const answer = await raw(address.port, get(`/admin/bans/${ip}`, 'DELETE'))
      assert.equal(statusOf(answer), 400)
      assert.match(answer, /"detail":"[^"]*IP address/)
    })
  }
  for (const ip of ['192.0.2.1', '2001:db8::1']) {
    it(`knows ${ip} for an address`, async () =>
      assert.equal(statusOf(await raw(address.port, get(`/admin/bans/${ip}`, 'DELETE'))), 404))
  }
  it('says what a gateway can be marked', async () => {
    const answer = await raw(
      address.port,
      get('/admin/gateways/carriers/gw1/sideways', 'POST', 'Content-Length: 0\r\n'),
    )
    assert.equal(statusOf(answer), 400)
    assert.match(answer, /action must be 'up' or 'down'/)
  })
  for (const path of ['a%2Fb%40example.com', 'sip%3Aa%2fb@Example.com', 'a%252Fb@example.com']) {
    it(`finds an address-of-record with a slash as ${path}`, async () => {
      port.contacts = [{ ...alice, aor: 'sip:a/b@example.com' }]
      assert.equal(statusOf(await raw(address.port, get(`/admin/registrations/${path}`))), 200)
    })
  }
  it('names the methods that a path has', async () => {
    assert.match(
      await raw(address.port, get('/admin/calls', 'PUT', 'Content-Length: 0\r\n')),
      /^allow: GET, HEAD\r$/im,
    )
  })
})

describe('lists', async () => {
  const { base, port, server } = await lab()
  after(() => server.close())
  const many = Array.from({ length: 1234 }, (_, i) => ({ ...alice, aor: `sip:u${i}@example.com` }))
  it('come whole without a limit, asked for in pieces', async () => {
    port.contacts = many
    port.asked.length = 0
    assert.deepEqual(await (await fetch(`${base}/admin/registrations`)).json(), many)
    assert.ok(port.asked.length >= 5 && port.asked.every((p) => p.limit <= 100))
    port.contacts = []
    assert.deepEqual(await (await fetch(`${base}/admin/registrations`)).json(), [])
  })
  it('come in pages along X-Next-Cursor and Link', async () => {
    port.contacts = many
    port.asked.length = 0
    const seen: unknown[] = []
    let next: string | null = '/admin/registrations?limit=500'
    while (next !== null) {
      const answer: Response = await fetch(base + next)
      seen.push(...((await answer.json()) as unknown[]))
      next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1] ?? null
      assert.equal(answer.headers.has('x-next-cursor'), next !== null)
    }
    assert.deepEqual(seen, many)
    assert.ok(port.asked.every((p) => p.limit <= 100))
  })
  it('answer HEAD with the fields of GET, and no length where GET says none', async () => {
    port.contacts = many
    for (const path of [
      '/admin/registrations',
      '/admin/calls',
      '/admin/bans',
      '/admin/calls?limit=1',
      '/admin/stats',
    ]) {
      const read = await fetch(base + path)
      const head = await fetch(base + path, { method: 'HEAD' })
      for (const name of ['content-type', 'content-length', 'x-next-cursor', 'link', 'cache-control']) {
        assert.equal(head.headers.get(name), read.headers.get(name), `${name} of ${path}`)
      }
      assert.equal(await head.text(), '')
      await read.body?.cancel()
    }
  })
  it('are not read for HEAD beyond whether they can be', async () => {
    port.contacts = many
    port.asked.length = 0
    assert.equal((await fetch(`${base}/admin/registrations`, { method: 'HEAD' })).status, 200)
    assert.equal(port.asked.length, 1)
    port.registrations = () => Promise.reject(new Error('gone'))
    assert.equal((await fetch(`${base}/admin/registrations`, { method: 'HEAD' })).status, 500)
    delete (port as Partial<typeof port>).registrations
  })
  it('ask for no more while the reader does not read', async () => {
    port.contacts = Array.from({ length: 100_000 }, (_, i) => ({ ...alice, aor: `sip:u${i}@example.com` }))
    port.asked.length = 0
    const answer = await fetch(`${base}/admin/registrations`)
    await fetch(`${base}/admin/health`)
    assert.ok(port.asked.length < 400, `${port.asked.length} pieces asked for`)
    await answer.body?.cancel()
  })
})

describe('a port that fails', async () => {
  const { base, port, server, faults } = await lab()
  after(() => server.close())
  it('is a 500 without its words, and reported', async () => {
    port.stats = () => Promise.reject(new Error('secret detail'))
    const answer = await fetch(`${base}/admin/stats`)
    assert.equal(answer.status, 500)
    assert.ok(!(await answer.text()).includes('secret'))
    assert.match(faults.join(), /secret detail/)
  })
  it('is a broken answer, never half a list that looks whole', async () => {
    port.registrations = ({ cursor }) =>
      cursor === null ? Promise.resolve({ items: [alice], next: '1' }) : Promise.reject(new Error('gone'))
    await assert.rejects(async () => (await fetch(`${base}/admin/registrations`)).text())
    assert.equal((await fetch(`${base}/admin/health`)).status, 200)
  })
})

describe('slow and many connections', async () => {
  const { base, address, server } = await lab()
  after(() => server.close())
  it('do not keep a probe waiting', async () => {
    const slow = Array.from({ length: 400 }, () => {
      const socket = connect(address.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write('GET /admin/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ')
      return socket
    })
    await Promise.all(
      slow.map((s) => new Promise((resolve) => (s.connecting ? s.once('connect', resolve) : resolve(null)))),
    )
    const started = performance.now()
    assert.equal((await fetch(`${base}/admin/health`, { headers: { connection: 'close' } })).status, 200)
    assert.ok(performance.now() - started < 5000)
    for (const socket of slow) socket.destroy()
  })
})
