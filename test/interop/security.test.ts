import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { missing, start, until } from '../support/programs.ts'
import { RawPhone, requestText, startSiphon, type Siphon } from '../support/siphon.ts'

/** Answers everything; a MESSAGE bans, asks or lifts, as its body says. */
const script = `import { proxy, security } from 'siphon'
proxy.onRequest('MESSAGE', async (request) => {
  const [verb, ip = ''] = request.bodyText.split(' ')
  if (verb === 'ban') return request.reply((await security.ban(ip, 600, 'by hand')) ? 200 : 403)
  if (verb === 'unban') return request.reply((await security.unban(ip)) ? 200 : 404)
  return request.reply((await security.isBanned(ip)) ? 200 : 404)
})
proxy.onRequest((request) => request.reply(200))
`
const OPTIONS = (): string => requestText('OPTIONS', 'sip:x@127.0.0.1')

interface Ban {
  readonly ip: string
  readonly reason: string
  readonly since: string
  readonly expires_remaining: number
  readonly score: number
  readonly drops: number
}

const bansOf = async (siphon: Siphon): Promise<Ban[]> => (await siphon.admin('/admin/bans')).body as Ban[]

function stream(
  port: number,
  localAddress: string,
): { peer: Socket; text: () => string; closed: () => boolean } {
  const peer = connect({ port, host: '127.0.0.1', localAddress })
  let text = ''
  let closed = false
  peer.on('error', () => undefined)
  peer.on('data', (bytes) => (text += bytes.toString('latin1')))
  peer.on('close', () => (closed = true))
  return { peer, text: () => text, closed: () => closed }
}

describe('bans', () => {
  let siphon: Siphon
  let good: RawPhone
  before(async () => {
    siphon = await startSiphon({
      script,
      yaml: `security:
  rate_limit: { max_requests: 50, window_secs: 60, ban_duration_secs: 600 }
  failed_auth_ban: { threshold: 6, ban_duration_secs: 600 }
  scanner_block: {}
  trusted_cidrs: ["127.0.0.1", "127.0.7.0/24"]
  acl: { deny: ["127.0.66.0/24"] }
  limits: { max_message_bytes: 4000, max_header_bytes: 3000, max_headers: 30, max_connections_per_source: 3 }`,
    })
    good = await RawPhone.open()
  })
  after(async () => {
    good.close()
    await siphon.stop('SIGKILL')
  })
  const message = (body: string): Promise<number> =>
    good.ask(
      requestText('MESSAGE', 'sip:x@127.0.0.1', { body, headers: ['Content-Type: text/plain'] }),
      siphon.sip,
    )

  it('come to a source over its limit: its datagrams and connections alike, until they are lifted', async () => {
    const bad = await RawPhone.open('127.0.0.2')
    const line = stream(siphon.sip, '127.0.0.2')
    await until('the connection', async () => (await siphon.sum('siphon_connections_active')) === 1)
    for (let i = 0; i < 50; i++) assert.equal(await bad.ask(OPTIONS(), siphon.sip), 200)
    const seen = bad.received.length
    for (let i = 0; i < 5; i++) bad.send(OPTIONS(), siphon.sip)
    await until('the connection to be cut', line.closed)
    const [ban] = await until('the ban', async () => {
      const bans = await bansOf(siphon)
      return bans[0] && bans[0].drops >= 5 ? bans : null
    })
    assert.deepEqual([ban?.ip, ban?.reason, ban?.score], ['127.0.0.2', 'rate_limit', 0])
    assert.ok(ban && ban.expires_remaining > 590 && ban.expires_remaining <= 600)
    assert.ok(Math.abs(Date.parse(ban.since) - Date.now()) < 60_000)
    assert.equal(bad.received.length, seen)
    const refused = stream(siphon.sip, '127.0.0.2')
    await until('the refusal', refused.closed)
    assert.equal(refused.text(), '')
    assert.equal(await good.ask(OPTIONS(), siphon.sip), 200)
    assert.equal(await siphon.metric('siphon_banned_ips'), 1)
    assert.equal(await siphon.metric('siphon_bans_total{reason="rate_limit"}'), 1)
    assert.equal(await siphon.metric('siphon_rate_limited_total'), 6)
    assert.equal(await siphon.sum('siphon_security_drops_total', /reason="rate_limit",transport="tcp"/), 1)
    assert.match(siphon.process.output(), /127\.0\.0\.2 is banned for 600 s: rate_limit/)

    // A reload changes no ban.
    siphon.process.child.kill('SIGHUP')
    await until('the reload', async () => (await siphon.metric('siphon_script_generation')) === 2)
    assert.equal((await bansOf(siphon)).length, 1)

    assert.equal((await siphon.admin('/admin/bans/127.0.0.3', { method: 'DELETE' })).status, 404)
    assert.deepEqual(await siphon.admin('/admin/bans/127.0.0.2', { method: 'DELETE' }), {
      status: 200,
      body: { status: 'unbanned', ip: '127.0.0.2' },
    })
    assert.equal(await bad.ask(OPTIONS(), siphon.sip), 200)
    assert.equal(await siphon.metric('siphon_banned_ips'), 0)
    bad.close()
  })

  it('never come to the trusted', async () => {
    const trusted = await RawPhone.open('127.0.7.1')
    for (let i = 0; i < 120; i++) assert.equal(await trusted.ask(OPTIONS(), siphon.sip), 200)
    assert.equal(await message('ban 127.0.7.1'), 403)
    assert.deepEqual(await bansOf(siphon), [])
    trusted.close()
  })

  it('are a script’s to make, to ask for and to lift', async () => {
    const bad = await RawPhone.open('127.0.0.4')
    assert.equal(await bad.ask(OPTIONS(), siphon.sip), 200)
    assert.equal(await message('ban 127.0.0.4'), 200)
    assert.equal(await message('is 127.0.0.4'), 200)
    assert.equal((await bansOf(siphon))[0]?.reason, 'by hand')
    bad.send(OPTIONS(), siphon.sip)
    await until('the drop', async () => (await bansOf(siphon))[0]?.drops === 1)
    assert.equal(await message('unban 127.0.0.4'), 200)
    assert.equal(await message('unban 127.0.0.4'), 404)
    assert.equal(await message('is 127.0.0.4'), 404)
    assert.equal(await bad.ask(OPTIONS(), siphon.sip), 200)
    assert.equal(await message('ban example.com'), 500)
    bad.close()
  })

  it('come to who sends on a stream what is not SIP, twice', async () => {
    for (const first of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '\x16\x03\x01\x00\xc8\x01\x00\x00\xc4']) {
      const bad = stream(siphon.sip, '127.0.0.5')
      bad.peer.write(Buffer.from(first, 'latin1'))
      await until('the end', bad.closed)
    }
    assert.deepEqual(
      (await bansOf(siphon)).map((b) => [b.ip, b.reason, b.score]),
      [['127.0.0.5', 'failed_auth', 6]],
    )
    await siphon.admin('/admin/bans/127.0.0.5', { method: 'DELETE' })
  })

  it('are not needed for who is denied: nothing is looked at', async () => {
    const denied = await RawPhone.open('127.0.66.1')
    const before = await siphon.sum('siphon_requests_total', /direction="in"/)
    denied.send(OPTIONS(), siphon.sip)
    await until(
      'the drop',
      async () => (await siphon.sum('siphon_security_drops_total', /"acl",transport="udp"/)) === 1,
    )
    const line = stream(siphon.sip, '127.0.66.2')
    await until('the end', line.closed)
    assert.equal(await siphon.sum('siphon_security_drops_total', /"acl",transport="tcp"/), 1)
    assert.equal(await siphon.sum('siphon_requests_total', /direction="in"/), before)
    assert.equal(denied.received.length, 0)
    denied.close()
  })

  it('leave room for the limits: of messages, heads, fields and connections', async () => {
    const headers = (count: number): string[] => Array.from({ length: count }, (_, i) => `X-${i}: 1`)
    const ask = (options: Parameters<typeof requestText>[2]): Promise<number> =>
      good.ask(requestText('OPTIONS', 'sip:x@127.0.0.1', options), siphon.sip)
    assert.equal(await ask({ headers: headers(15) }), 200)
    assert.equal(await ask({ headers: headers(40) }), 513)
    assert.equal(await ask({ headers: [`Subject: ${'x'.repeat(2_900)}`] }), 513)
    assert.equal(await ask({ body: 'x'.repeat(3_000) }), 200)
    assert.equal(await ask({ body: 'x'.repeat(4_000) }), 513)
    const lines = Array.from({ length: 3 }, () => stream(siphon.sip, '127.0.0.9'))
    await until('three connections', async () => (await siphon.sum('siphon_connections_active')) === 3)
    const fourth = stream(siphon.sip, '127.0.0.9')
    await until('the fourth to be refused', fourth.closed)
    assert.equal(
      await siphon.sum('siphon_security_drops_total', /"connections_per_source",transport="tcp"/),
      1,
    )
    for (const { peer } of lines) peer.destroy()
  })
})

describe('sipvicious', { skip: missing('svmap', 'svwar', 'svcrack') }, () => {
  let siphon: Siphon
  before(async () => {
    siphon = await startSiphon({
      script,
      yaml: 'security: { scanner_block: {}, failed_auth_ban: { threshold: 3, ban_duration_secs: 600 } }',
    })
  })
  after(() => siphon.stop('SIGKILL'))

  for (const [tool, ...args] of [
    ['svmap', '127.0.0.1'],
    ['svwar', '-e', '100-149', '-m', 'REGISTER', '127.0.0.1'],
    ['svcrack', '-u', '100', '-r', '1-50', '127.0.0.1'],
  ] as const) {
    it(`${tool} gets no answer and learns nothing`, async () => {
      const answers = await siphon.sum('siphon_responses_total')
      const run = start(tool, ['-p', String(siphon.sip), ...args])
      await run.exited
      assert.match(run.output(), /found nothing/i)
      assert.equal(await siphon.sum('siphon_responses_total'), answers)
    })
  }

  it('is banned by then, and others are served', async () => {
    const bans = await bansOf(siphon)
    assert.deepEqual(
      bans.map((b) => [b.reason, b.score]),
      [['failed_auth', 3]],
    )
    assert.ok((await siphon.metric('siphon_scanner_blocked_total')) >= 3)
    const phone = await RawPhone.open('127.0.0.8')
    assert.equal(await phone.ask(OPTIONS(), siphon.sip), 200)
    phone.close()
  })

  it('nmap with its SIP script learns nothing either', { skip: missing('nmap') }, async () => {
    // It comes from the same address.
    for (const { ip } of await bansOf(siphon)) await siphon.admin(`/admin/bans/${ip}`, { method: 'DELETE' })
    const [answers, blocked] = [
      await siphon.sum('siphon_responses_total'),
      await siphon.metric('siphon_scanner_blocked_total'),
    ]
    const args = [
      '-Pn',
      '-n',
      '-sT',
      '-T5',
      '-p',
      String(siphon.sip),
      '--script',
      '+sip-methods',
      '127.0.0.1',
    ]
    const run = start('nmap', args)
    await run.exited
    assert.match(run.output(), /1 host up/)
    assert.doesNotMatch(run.output(), /sip-methods/)
    assert.equal(await siphon.sum('siphon_responses_total'), answers)
    assert.ok((await siphon.metric('siphon_scanner_blocked_total')) > blocked)
  })
})
