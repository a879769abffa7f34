import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { chromium, type Page } from 'playwright-core'
import { bundle } from '../support/bundle.ts'
import { certificate } from '../support/certificate.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, startSiphon } from '../support/siphon.ts'

/** A page with a JsSIP phone that says what happens to it in `log`. */
const PAGE = `<!doctype html><meta charset="utf-8"><script src="/jssip.js"></script><script>
  window.log = []
  window.phone = (url, user) => {
    const ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(url)],
      uri: 'sip:' + user + '@example.com', register: true, register_expires: 120,
    })
    for (const name of ['connected', 'registered', 'registrationFailed', 'disconnected'])
      ua.on(name, (e) => log.push(name + (e && e.cause ? ' ' + e.cause : '')))
    ua.on('newRTCSession', ({ session, originator }) => {
      window.session = session
      for (const name of ['progress', 'accepted', 'confirmed', 'ended', 'failed'])
        session.on(name, (e) => log.push('call ' + name + (e && e.cause ? ' ' + e.cause : '')))
      if (originator === 'remote') session.answer({ mediaConstraints: { audio: true, video: false } })
    })
    ua.start()
    window.ua = ua
  }
</script>`

describe('browsers', () => {
  it(
    'register over WSS with JsSIP, call each other through the server, and hang up',
    { skip: missing('chromium', 'openssl') },
    async (t) => {
      const made = certificate(mkdtempSync(join(tmpdir(), 'siphon-wss-')), 'siphon.example', '127.0.0.1')
      assert.ok(made)
      const port = await freePort()
      const siphon = await startSiphon({
        listen: `wss: ["127.0.0.1:${port}"]`,
        yaml: `tls: { certificate: "${made.certFile}", private_key: "${made.keyFile}" }`,
      })
      t.after(() => siphon.stop('SIGKILL'))
      const script = bundle('jssip', 'JsSIP')
      const web = createServer((request, response) => {
        const js = request.url === '/jssip.js'
        response.writeHead(200, { 'Content-Type': js ? 'text/javascript; charset=utf-8' : 'text/html' })
        response.end(js ? script : PAGE)
      })
      await new Promise<void>((done) => web.listen(0, '127.0.0.1', done))
      t.after(() => web.close())
      const { port: webPort } = web.address() as { port: number }
      const browser = await chromium.launch({
        executablePath: '/usr/bin/chromium',
        args: ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
      })
      t.after(() => browser.close())
      const context = await browser.newContext({ ignoreHTTPSErrors: true })
      const phone = async (user: string): Promise<Page> => {
        const page = await context.newPage()
        await page.goto(`http://127.0.0.1:${webPort}/`)
        await page.evaluate(`phone('wss://127.0.0.1:${port}', '${user}')`)
        return page
      }
      const says = (page: Page, what: string): Promise<unknown> =>
        until(what, async () => ((await page.evaluate('log')) as string[]).includes(what)).catch(
          async (error: unknown) => {
            throw new Error(`${String(error)}; ${JSON.stringify(await page.evaluate('log'))}`)
          },
        )
      const [alice, bob] = [await phone('alice'), await phone('bob')]
      await says(alice, 'registered')
      await says(bob, 'registered')
      assert.equal(await siphon.metric('siphon_connections_active{transport="wss"}'), 2)

      await alice.evaluate(
        `ua.call('sip:bob@example.com', { mediaConstraints: { audio: true, video: false } }), 0`,
      )
      await says(alice, 'call confirmed')
      await says(bob, 'call confirmed')
      // The callee ends it: his BYE has to find the caller by the connection alone.
      await bob.evaluate('session.terminate()')
      await says(bob, 'call ended Terminated')
      await says(alice, 'call ended Terminated')
      await until('the record', () => siphon.records().length === 1)
      const [record] = siphon.records()
      assert.equal(record?.['transport'], 'wss')
      assert.equal(record?.['disconnect_initiator'], 'callee')

      // Whoever closes his page is gone at once: nobody waits for him.
      await bob.close()
      await until(
        'bob to be gone',
        async () => (await siphon.metric('siphon_connections_active{transport="wss"}')) === 1,
      )
      await alice.evaluate(
        `ua.call('sip:bob@example.com', { mediaConstraints: { audio: true, video: false } }), 0`,
      )
      await until('the refusal', async () =>
        ((await alice.evaluate('log')) as string[]).some((line) => line.startsWith('call failed')),
      )
    },
  )
})
