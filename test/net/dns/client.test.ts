import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Address } from '../../../src/base/address.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { type Asked, DnsClient, type Told } from '../../../src/net/dns/client.ts'
import { tcpExchange, udpExchange } from '../../../src/net/dns/exchange.ts'
import type { Question } from '../../../src/net/dns/records.ts'
import { a, fakeServer, reply, soa, TRUNCATED } from '../../support/dns-message.ts'

const GW: Question = { name: 'gw.example', type: 'A' }
const FOUND = [{ type: 'A', address: '192.0.2.1' }]

/** A client of these servers, on real sockets. */
function client(servers: readonly Address[], times: { timeoutMs?: number; deadlineMs?: number } = {}) {
  const asked: Asked[] = []
  let id = 100
  const dns = new DnsClient({
    clock: systemClock,
    servers,
    timeoutMs: times.timeoutMs ?? 2_000,
    deadlineMs: times.deadlineMs ?? 8_000,
    udp: udpExchange(systemClock),
    tcp: tcpExchange(systemClock),
    queryId: () => id++,
    onAsked: (fact) => void asked.push(fact),
  })
  const ask = (question = GW): Promise<Told> => new Promise((done) => dns.ask(question, done))
  return { ask, asked }
}

const good = (query: Buffer): Buffer => reply(query, [a('gw.example', '192.0.2.1', 77)])

/** A server that hears and says nothing. */
const silent = (t: TestContext) => fakeServer(t, () => [])

/** A port where nobody listens. */
const CLOSED: Address = { host: '127.0.0.1', port: 1 }
/** The kernel refuses to connect to it, as it does where there is no route. */
const NO_WAY: Address = { host: '255.255.255.255', port: 53 }

describe('a question to the name servers', () => {
  it('is answered by the first of them', async (t) => {
    const one = await fakeServer(t, (query) => [good(query)])
    const two = await silent(t)
    const { ask, asked } = client([one.address, two.address])
    assert.deepEqual(await ask(), { outcome: 'found', records: FOUND, ttl: 77 })
    assert.equal(two.asked.length, 0)
    assert.deepEqual(
      asked.map(({ type, outcome }) => [type, outcome]),
      [['A', 'found']],
    )
  })

  it('goes to the next server when there is no way to the first, and fails when there is none to any', async (t) => {
    const near = await fakeServer(t, (query) => [good(query)])
    assert.deepEqual(await client([NO_WAY, near.address]).ask(), {
      outcome: 'found',
      records: FOUND,
      ttl: 77,
    })
    const started = performance.now()
    assert.equal((await client([NO_WAY]).ask()).outcome, 'failed')
    assert.ok(performance.now() - started < 1_000, 'at once, not at the end of its time')
  })

  it('waits on over garbage, a wrong id and the answer to another question', async (t) => {
    const server = await fakeServer(t, (query) => [
      Buffer.from('garbage'),
      Buffer.alloc(0),
      reply(query, [a('gw.example', '192.0.2.66')], { id: query.readUInt16BE(0) ^ 1 }),
      Buffer.concat([
        query.subarray(0, 2),
        Buffer.from([0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0]),
        query.subarray(12),
      ]),
      good(query),
    ])
    assert.deepEqual((await client([server.address]).ask()).records, FOUND)
    assert.equal(server.asked.length, 1)
  })

  it('goes over TCP when the answer does not fit', async (t) => {
    const server = await fakeServer(t, (query, over) => [
      over === 'udp' ? reply(query, [], { flags: 0x8180 | TRUNCATED }) : good(query),
    ])
    assert.deepEqual((await client([server.address]).ask()).records, FOUND)
    assert.deepEqual(
      server.asked.map(({ over }) => over),
      ['udp', 'tcp'],
    )
  })

  it('is repeated without EDNS for a server that stumbles over it', async (t) => {
    const server = await fakeServer(t, (query) => [
      query.readUInt16BE(10) === 1 ? reply(query, [], { rcode: 1 }) : good(query),
    ])
    assert.deepEqual((await client([server.address]).ask()).records, FOUND)
  })

  it('goes to the next server after silence, a refusal or a closed port, and the one that knew is first then', async (t) => {
    const mute = await silent(t)
    const refusing = await fakeServer(t, (query) => [reply(query, [], { rcode: 5 })])
    const lame = await fakeServer(t, (query) => [reply(query, [], { flags: 0x8000 })])
    const knowing = await fakeServer(t, (query) => [good(query)])
    const servers = [mute.address, refusing.address, CLOSED, lame.address, knowing.address]
    const { ask } = client(servers, { timeoutMs: 100 })
    assert.equal((await ask()).outcome, 'found')
    assert.deepEqual([mute.asked.length, refusing.asked.length, lame.asked.length], [1, 1, 1])
    await ask()
    assert.deepEqual([mute.asked.length, knowing.asked.length], [1, 2])
  })

  it('is given up after two rounds, or when the deadline is over', async (t) => {
    const mute = await silent(t)
    const rounds = client([mute.address], { timeoutMs: 30 })
    assert.deepEqual(await rounds.ask(), { outcome: 'failed', records: [], ttl: null })
    assert.equal(mute.asked.length, 2)
    assert.equal(rounds.asked[0]?.outcome, 'timeout')
    const other = await silent(t)
    await client([other.address], { timeoutMs: 60_000, deadlineMs: 50 }).ask()
    assert.equal(other.asked.length, 1)
    const refusing = await fakeServer(t, (query) => [reply(query, [], { rcode: 2 })])
    const failing = client([refusing.address])
    await failing.ask()
    assert.equal(failing.asked[0]?.outcome, 'error')
    assert.equal((await client([]).ask()).outcome, 'failed')
  })

  it('of a name that there is not is answered with how long to believe that', async (t) => {
    const server = await fakeServer(t, (query) => [
      reply(query, [], { rcode: 3, authority: [soa('example', 900, 60)] }),
    ])
    assert.deepEqual(await client([server.address]).ask(), { outcome: 'none', records: [], ttl: 60 })
    const other = await fakeServer(t, (query) => [reply(query, [])])
    assert.deepEqual(await client([other.address]).ask(), { outcome: 'none', records: [], ttl: null })
  })

  it('of a name that cannot be asked for is answered without asking', async (t) => {
    const server = await fakeServer(t, (query) => [good(query)])
    const { ask } = client([server.address])
    assert.equal((await ask({ name: 'a..b', type: 'A' })).outcome, 'none')
    assert.equal(server.asked.length, 0)
  })

  it('is sent under the id that was drawn for it', async (t) => {
    const server = await fakeServer(t, (query) => [good(query)])
    const { ask } = client([server.address])
    await ask()
    await ask()
    assert.deepEqual(
      server.asked.map(({ query }) => query.readUInt16BE(0)),
      [100, 101],
    )
  })
})
