import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callRecord } from '../../support/call-record.ts'
import { accept, levelsOf, pipeline, scratch, until } from '../../support/cdr.ts'
import { certificate, expiredCertificate } from '../../support/certificate.ts'
import { installed } from '../../support/programs.ts'

// Long enough that bytes under a cipher do not spell it by chance: three of them do, once in some hundred runs.
const IN_CLEAR = /Bearer tok123|"id":"r-\d/

type Pair = { readonly cert: string; readonly key: string; readonly certFile: string }

/** A collector behind a tap that keeps every byte that records could be in. */
async function collector(t: TestContext, first: Pair) {
  const taken: string[] = []
  const server = createServer(first, (request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      taken.push((JSON.parse(body) as { id: string }).id)
      response.writeHead(200).end()
    })
  })
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port: inner } = server.address() as AddressInfo
  let wire = ''
  const tap = createTcpServer((near) => {
    const far = connect(inner, '127.0.0.1')
    near.on('data', (bytes) => (wire += bytes.toString('latin1')))
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
      one.pipe(other)
    }
  })
  await new Promise<void>((done) => void tap.listen(0, '127.0.0.1', done))
  t.after(() => void tap.close())
  const { port } = tap.address() as AddressInfo
  return { taken, port, wire: () => wire, show: (pair: Pair) => server.setSecureContext(pair) }
}

it('records and tokens in clear are found where the tap looks', () => {
  assert.match(JSON.stringify(callRecord({ id: 'r-7' })), IN_CLEAR)
  assert.match('authorization: Bearer tok123\r\n', IN_CLEAR)
})

// F6: what a collector shows is judged anew at every connection.
describe('records over https', { skip: installed('openssl') ? false : 'openssl is not installed' }, () => {
  for (const [what, why] of [
    ['has expired', /expired/i],
    ['is of another name', /altnames|does not match|ERR_TLS_CERT_ALTNAME/i],
    ['is of nobody known', /self-signed|SELF_SIGNED/i],
  ] as const) {
    it(`wait while the collector's certificate ${what}, and go when it is mended, without a restart`, async (t) => {
      const dir = scratch(t)
      const good = certificate(dir, 'good', '127.0.0.1')
      const bad =
        what === 'has expired'
          ? expiredCertificate(dir, 'old', '127.0.0.1')
          : certificate(dir, 'other', what === 'is of another name' ? '192.0.2.1' : '127.0.0.1')
      assert.ok(good && bad)
      const ca = join(dir, 'ca.pem')
      writeFileSync(ca, what === 'is of nobody known' ? good.cert : good.cert + bad.cert)
      const c = await collector(t, bad)
      const url = `https://127.0.0.1:${c.port}/v1/cdr`
      const { pipeline: p, lines } = pipeline(t, [
        { kind: 'http', url, authHeader: 'Bearer tok123', caFile: ca },
      ])
      await p.start()
      accept(p, 0, 20)
      await until(() => lines.some((line) => why.test(line)))
      assert.equal(levelsOf(p).queued, 20)
      assert.deepEqual(c.taken, [])
      c.show(good)
      assert.equal(await p.flush(5_000), true)
      assert.equal(new Set(c.taken).size, 20)
      assert.equal(levelsOf(p).dropped + levelsOf(p).dead, 0)
      assert.ok(c.wire().length > 20 * 1000, 'the tap saw the records go by')
      assert.doesNotMatch(c.wire(), IN_CLEAR, 'something was sent in clear')
    })
  }
})
