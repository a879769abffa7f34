import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import type { Found, Hop } from '../../src/base/next-hop.ts'
import { createNextHops } from '../../src/server/next-hops.ts'
import { startNsd } from '../support/nsd.ts'
import { missing, until } from '../support/programs.ts'
import { seeded } from '../support/seeded.ts'
import { freePort, RawPhone, requestText, type Siphon, startSiphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

/** A name server of the test's own, and real servers behind the names. */

const CALLS = 20

/** Sends what begins a dialog to the hop; what is for `literal`, to its own address. */
const script = (hop: string): string => `import { proxy } from 'siphon'
proxy.onRequest((request) => {
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  request.recordRoute()
  return request.ruri.includes('literal@') ? request.relay() : request.relay('${hop}')
})
`

/** SIPhon with this name server; nothing but a refusal or a 503 can make it try another target. */
async function proxyTo(t: TestContext, hop: string, dns: number, more = ''): Promise<Siphon> {
  const siphon = await startSiphon({
    script: script(hop),
    yaml: `dns: { servers: ["127.0.0.1:${dns}"], attempt_secs: 0${more} }`,
  })
  t.after(() => siphon.stop('SIGKILL'))
  return siphon
}

async function nsd(t: TestContext, records: string): Promise<number> {
  const port = await freePort()
  const server = await startNsd(port, 'b.example', records)
  t.after(() => server.stop('SIGKILL'))
  return port
}

/** Twenty calls, all of which are answered; INVITE to 200 of the slowest, ms. */
const call = async (siphon: Siphon): Promise<number> => {
  const result = await runCaller({
    target: siphon.target,
    localPort: await freePort(),
    rate: 10,
    calls: CALLS,
    holdMs: 10,
  })
  assert.deepEqual([result.successful, result.failed], [CALLS, 0])
  return result.responseTimes.at(-1) ?? Number.NaN
}

describe('the next hop, from a real name server', { skip: missing('sipp', 'nsd') }, () => {
  it('is drawn by weight: within 3 % over 10,000 picks, of one question for each name', async (t) => {
    const port = await nsd(
      t,
      `_sip._udp 300 IN SRV 1 60 5061 one
_sip._udp 300 IN SRV 1 30 5062 two
_sip._udp 300 IN SRV 1 10 5063 three
_sip._udp 300 IN SRV 2 100 5064 spare
one IN A 127.0.0.1
two IN A 127.0.0.1
three IN A 127.0.0.1
spare IN A 127.0.0.1`,
    )
    let asked = 0
    const { nextHops, entries } = createNextHops(
      {
        servers: [{ host: '127.0.0.1', port }],
        names: { search: [], ndots: 1, hosts: {} },
        limits: { minTtlSecs: 1, maxTtlSecs: 300, maxNegativeTtlSecs: 300, maxStaleSecs: 0, size: 100 },
        timeoutMs: 2_000,
        deadlineMs: 8_000,
        failover: { attemptMs: 0, avoidMs: 0 },
      },
      [{ protocol: 'udp', address: { host: '127.0.0.1' } }],
      systemClock,
      () => asked++,
      seeded(2782),
    )
    const hop: Hop = { host: 'b.example', port: null, protocol: null, secure: false }
    const picks = new Map<number, number>()
    for (let i = 0; i < 10_000; i++) {
      const found = await new Promise<Found>((done) => nextHops.find(hop, done))
      assert.ok(found.ok)
      assert.equal(found.targets.length, 4)
      const first = found.targets[0]?.port ?? 0
      picks.set(first, (picks.get(first) ?? 0) + 1)
    }
    for (const [target, share] of [
      [5061, 0.6],
      [5062, 0.3],
      [5063, 0.1],
      [5064, 0],
    ] as const) {
      const got = (picks.get(target) ?? 0) / 10_000
      assert.ok(Math.abs(got - share) < 0.03, `${target}: ${got}`)
    }
    // NAPTR, SRV and four addresses.
    assert.deepEqual([asked, entries()], [6, 6])
  })

  it('is the next target when the first refuses the connection: NAPTR says TCP, one SRV target is closed', async (t) => {
    const [closed, live] = [await freePort(), await freePort()]
    const callee = startCallee(live, { extra: ['-t', 't1'] })
    t.after(() => callee.stop('SIGKILL'))
    const dns = await nsd(
      t,
      `@ IN NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.b.example.
@ IN NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp.b.example.
_sip._tcp IN SRV 1 0 ${closed} gw
_sip._tcp IN SRV 2 0 ${live} gw
gw IN A 127.0.0.1`,
    )
    // Every call meets the closed one first.
    const siphon = await proxyTo(t, 'sip:b.example', dns, ', avoid_secs: 0')
    const slowest = await call(siphon)
    assert.ok(slowest < 1_000, `${slowest} ms`)
    assert.equal(await siphon.metric('siphon_next_hop_failovers_total{reason="transport"}'), CALLS)
    assert.equal(await siphon.metric('siphon_next_hop_failovers_total{reason="timeout"}'), 0)
    assert.equal(await siphon.metric('siphon_dns_queries_total{type="naptr",outcome="found"}'), 1)
    assert.equal(await siphon.metric('siphon_dns_queries_total{type="srv",outcome="found"}'), 1)
    assert.equal(await siphon.sum('siphon_retransmissions_total'), 0)
    await until('records', () => siphon.records().length >= CALLS)
    assert.deepEqual([...new Set(siphon.records().map((r) => r['destination_port']))], [live])
  })

  it('is the next target when the first answers 503, which is then left alone for as long as it asks', async (t) => {
    const [down, live] = [await freePort(), await freePort()]
    const refusing = startCallee(down, { scenario: 'uas-503.xml' })
    const callee = startCallee(live)
    t.after(() => Promise.all([refusing.stop('SIGKILL'), callee.stop('SIGKILL')]))
    const dns = await nsd(
      t,
      `_sip._udp IN SRV 1 0 ${down} gw
_sip._udp IN SRV 2 0 ${live} gw
gw IN A 127.0.0.1`,
    )
    const siphon = await proxyTo(t, 'sip:b.example', dns)
    await call(siphon)
    assert.equal(await siphon.metric('siphon_next_hop_failovers_total{reason="503"}'), 1)
    assert.equal(await siphon.metric('siphon_call_attempts_total{result="answered"}'), CALLS)
  })

  it('of a name waits for a dead name server no longer than its deadline, of an address not at all', async (t) => {
    const dead = createSocket('udp4')
    await new Promise<void>((done) => dead.bind(0, '127.0.0.1', done))
    t.after(() => dead.close())
    const callee = await RawPhone.open()
    const caller = await RawPhone.open()
    t.after(() => (callee.close(), caller.close()))
    const siphon = await proxyTo(t, 'sip:b.example', dead.address().port, ', deadline_secs: 3')
    const named = requestText('INVITE', 'sip:b@c.example')
    caller.send(named, siphon.sip)
    await until('the 100', () => caller.received.find((m) => m.startsWith('SIP/2.0 100')))
    const begun = performance.now()
    for (let i = 1; i <= 20; i++) {
      caller.send(requestText('OPTIONS', `sip:literal@127.0.0.1:${callee.port}`), siphon.sip)
      // One that is repeated counts once.
      const arrived = (): number => new Set(callee.received.map((m) => /^Call-ID: .*$/m.exec(m)?.[0])).size
      await until('the request to the address', () => arrived() === i)
    }
    // `until` looks every 20 ms: twenty of them cost what they cost with no name server asked for.
    assert.ok(performance.now() - begun < 1_500)
    // The other one still waits.
    assert.equal(caller.received.filter((m) => /^SIP\/2\.0 [2-6]/.test(m)).length, 0)
    const final = await until('its end', () => caller.received.find((m) => /^SIP\/2\.0 [2-6]/.test(m)))
    assert.match(final, /^SIP\/2\.0 500 /)
    const timeouts = (): Promise<number> =>
      siphon.metric('siphon_dns_queries_total{type="naptr",outcome="timeout"}')
    await until('the question to be counted', async () => (await timeouts()) === 1)
  })
})

describe('a next hop that the kernel sends nothing to', () => {
  it('has failed at once: the caller is told, and a sequential fork goes on', async (t) => {
    const [caller, callee] = [await RawPhone.open(), await RawPhone.open()]
    t.after(() => (callee.close(), caller.close()))
    const siphon = await startSiphon({
      script: `import { proxy } from 'siphon'
const nowhere = 'sip:b@255.255.255.255'
proxy.onRequest((request) => {
  if (request.ruri.includes('alone@')) return request.relay(nowhere)
  return request.fork([nowhere, 'sip:b@127.0.0.1:${callee.port}'], { strategy: 'sequential' })
})
`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    caller.send(requestText('INVITE', 'sip:alone@c.example'), siphon.sip)
    const final = await until('its end', () => caller.received.find((m) => /^SIP\/2\.0 [2-6]/.test(m)))
    // §16.7 step 6: a 503 of one next hop is none of the proxy's.
    assert.match(final, /^SIP\/2\.0 500 /)
    caller.send(requestText('INVITE', 'sip:b@c.example'), siphon.sip)
    await until('the second branch', () => callee.received.find((m) => m.startsWith('INVITE ')))
    const line = /WARN: transport: udp: cannot send to 255\.255\.255\.255:5060: E\w+/
    await until('the line', () => line.test(siphon.process.output()))
  })
})
