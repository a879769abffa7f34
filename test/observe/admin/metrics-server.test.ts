import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { Exposition } from '../../../src/observe/admin/metrics-endpoint.ts'
import { createMetricsServer } from '../../../src/observe/admin/metrics-server.ts'

async function lab(scrape: (accept: string | undefined) => Exposition | Promise<Exposition>) {
  const faults: string[] = []
  const server = createMetricsServer({
    listen: { host: '127.0.0.1', port: 0 },
    path: '/metrics',
    scrape,
    onFault: (what) => faults.push(what),
  })
  const { port } = await server.listen()
  return { server, faults, base: `http://127.0.0.1:${port}` }
}

describe('the metrics listener', async () => {
  const body = `# HELP x y\n${'x 1\n'.repeat(1000)}`
  const { base, server } = await lab((accept) => ({
    contentType: accept?.includes('openmetrics') ? 'application/openmetrics-text' : 'text/plain',
    body,
  }))
  after(() => server.close())

  it('passes the Accept field on and answers in the type given', async () => {
    const answer = await fetch(`${base}/metrics`, {
      headers: { accept: 'application/openmetrics-text;version=1.0.0' },
    })
    assert.equal(answer.headers.get('content-type'), 'application/openmetrics-text')
    assert.match(answer.headers.get('vary') ?? '', /Accept/)
    assert.equal(await answer.text(), body)
  })
  for (const [field, zipped] of [
    ['gzip', true],
    ['deflate, gzip;q=0.5', true],
    ['*', true],
    ['identity', false],
    ['gzip;q=0, *', false],
    ['gzip;q=0.0', false],
    ['gzip;q=nonsense', false],
    ['identity;q=1, gzip;q=0.1', false],
    ['gzip;q=0.1, identity', false],
    ['*;q=0.5, identity', false],
    ['gzip, identity', true],
    ['gzip;q=0.2, identity;q=0.1', true],
    ['gzip;q=0.2, *;q=0.5', false],
    ['x-gzip', true],
    ['', false],
  ] as const) {
    it(`${zipped ? 'compresses' : 'does not compress'} for Accept-Encoding: ${field}`, async () => {
      const answer = await fetch(`${base}/metrics`, { headers: { 'accept-encoding': field } })
      assert.equal(answer.headers.get('content-encoding'), zipped ? 'gzip' : null)
      assert.equal(await answer.text(), body)
    })
  }
  it('answers HEAD with the length and no body', async () => {
    const answer = await fetch(`${base}/metrics?x=1`, {
      method: 'HEAD',
      headers: { 'accept-encoding': 'identity' },
    })
    assert.equal(answer.headers.get('content-length'), String(body.length))
    assert.equal(await answer.text(), '')
  })
  it('has nothing else', async () => {
    assert.equal((await fetch(`${base}/`)).status, 404)
    assert.equal((await fetch(`${base}/metrics/`)).status, 404)
    const post = await fetch(`${base}/metrics`, { method: 'POST', body: 'x' })
    assert.equal(post.status, 405)
    assert.equal(post.headers.get('allow'), 'GET, HEAD')
    assert.equal(post.headers.get('content-type'), 'application/problem+json')
  })
})

describe('scrapes', () => {
  it('that come together are rendered once', async () => {
    let rendered = 0
    const { promise, resolve } = Promise.withResolvers<Exposition>()
    const started = Promise.withResolvers<void>()
    const { base, server } = await lab(() => {
      rendered++
      started.resolve()
      return promise
    })
    const answers = Array.from({ length: 5 }, () =>
      fetch(`${base}/metrics`, { headers: { accept: 'text/plain' } }),
    )
    await started.promise
    // The others have arrived once one that was sent after them is answered.
    await fetch(`${base}/other`)
    resolve({ contentType: 'text/plain', body: 'x 1\n' })
    for (const answer of await Promise.all(answers)) assert.equal(await answer.text(), 'x 1\n')
    assert.ok(rendered <= 2, `${rendered} renderings`)
    await server.close()
  })
  it('that fail are a 500, reported, and do not stay', async () => {
    let broken = true
    const { base, server, faults } = await lab(() => {
      if (broken) throw new Error('x')
      return { contentType: 'text/plain', body: 'x 1\n' }
    })
    assert.equal((await fetch(`${base}/metrics`)).status, 500)
    assert.deepEqual(faults, ['metrics could not be rendered'])
    broken = false
    assert.equal((await fetch(`${base}/metrics`)).status, 200)
    await server.close()
  })
  it('on a port that is taken are a rejected listen', async () => {
    const first = await lab(() => ({ contentType: 'text/plain', body: '' }))
    const second = createMetricsServer({
      listen: { host: '127.0.0.1', port: Number(new URL(first.base).port) },
      path: '/',
      scrape: () => ({ contentType: '', body: '' }),
      onFault: () => {},
    })
    await assert.rejects(second.listen(), /EADDRINUSE/)
    await first.server.close()
  })
})
