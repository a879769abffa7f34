import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { Gateways } from '../../src/core/gateway/gateways.ts'
import { DEFAULT_CIRCUIT, DEFAULT_PROBE, DEFAULT_REROUTE_CAUSES } from '../../src/core/gateway/settings.ts'
import { KeyedTimers } from '../../src/core/keyed-timers.ts'
import { RateWindow } from '../../src/core/rate-window.ts'
import { ScriptCache } from '../../src/core/script-cache.ts'
import type { Outcome } from '../../src/core/verdict.ts'
import { cacheServices } from '../../src/server/services/cache.ts'
import { gatewayServices } from '../../src/server/services/gateway.ts'
import { rateServices } from '../../src/server/services/rate.ts'
import { timerServices } from '../../src/server/services/timers.ts'
import { job, rig, until, type Asked } from './support.ts'

const GROUP = {
  name: 'carriers',
  algorithm: 'weighted' as const,
  probe: { ...DEFAULT_PROBE, enabled: false },
  circuit: DEFAULT_CIRCUIT,
  sourceNetworks: ['192.0.2.0/24'],
  rerouteCauses: DEFAULT_REROUTE_CAUSES,
  destinations: ['a', 'b'].map((name, i) => ({
    name,
    uri: `sip:10.0.0.${i + 1}`,
    hop: `sip:10.0.0.${i + 1}`,
    address: null,
    weight: 1,
    priority: i + 1,
    attrs: { where: 'M\xc3\xbcnchen' },
  })),
}

async function room(t: Parameters<typeof rig>[0], script: string) {
  const told: string[] = []
  let generation = 0
  const timers = new KeyedTimers(systemClock)
  t.after(() => timers.clear())
  const r = await rig(t, script, {
    supervisor: {
      settings: { gatewaySources: { carriers: ['192.0.2.0/24', '10.0.0.1'] }, caches: ['c'] },
    },
    services: (spine) => {
      const gateways = new Gateways(systemClock, spine)
      gateways.add(GROUP, true)
      return new Map([
        ...gatewayServices(gateways),
        ...cacheServices(
          new Map([['c', new ScriptCache(systemClock, { name: 'c', ttlMs: null, maxEntries: 9 })]]),
        ),
        ...timerServices(timers, () => generation),
        ...rateServices(new RateWindow(systemClock)),
      ])
    },
  })
  assert.ok(r.started.ok, JSON.stringify(r.started))
  generation = r.host.generation
  r.spine.logged.subscribe(({ text }) => told.push(text))
  const decide = async (asked: Asked = {}) => {
    const outcome: Outcome = await r.run(job(asked))
    assert.ok(outcome.ok, JSON.stringify(outcome))
    return outcome.decision
  }
  /** What a handler replied with as its reason: how a script tells the test something. */
  const said = async (asked: Asked = {}): Promise<string> => {
    const { verdict } = await decide(asked)
    assert.equal(verdict.do, 'reply')
    return Buffer.from((verdict.do === 'reply' && verdict.reason) || '', 'latin1').toString('utf8')
  }
  return { ...r, timers, decide, said, told }
}

describe('gateways in a script', () => {
  it('are selected, relayed and forked to, without a new Request-URI', async (t) => {
    const r = await room(
      t,
      `import { gateway, proxy } from 'siphon'
      proxy.onRequest('INVITE', async (request) => request.relay((await gateway.select('carriers'))!))
      proxy.onRequest('OPTIONS', async (request) =>
        request.fork([...(await gateway.list('carriers')), 'sip:x@10.0.0.9'], { strategy: 'sequential' }))`,
    )
    const relayed = await r.decide()
    assert.deepEqual(relayed.verdict, { do: 'relay', target: 'sip:10.0.0.1', gateway: 'carriers/a' })
    assert.deepEqual((await r.decide({ method: 'OPTIONS' })).verdict, {
      do: 'fork',
      targets: ['sip:10.0.0.1', 'sip:10.0.0.2', 'sip:x@10.0.0.9'],
      strategy: 'sequential',
      gateways: ['carriers/a', 'carriers/b', null],
    })
  })

  it('are marked, excluded, asked for by attribute, and known by address', async (t) => {
    const r = await room(
      t,
      `import { gateway, proxy } from 'siphon'
      proxy.onRequest(async (request) => {
        const out = []
        const all = await gateway.status('carriers')
        out.push(all.map((d) => d.name + ':' + d.attrs.where).join(), (await gateway.groups()).join())
        out.push((await gateway.select('carriers', { exclude: [all[0]!] }))?.name)
        out.push((await gateway.select('carriers', { attrs: { where: 'Köln' } }))?.name ?? 'none')
        await gateway.markDown('carriers', 'a')
        out.push((await gateway.status('carriers'))[0]!.state, (await gateway.select('carriers'))?.name)
        await gateway.markUp('carriers', 'sip:10.0.0.1')
        out.push((await gateway.select('carriers'))?.name)
        out.push(request.fromGateway('carriers'), request.sourceIpIn(['192.0.3.0/24', '2001:db8::/32']))
        out.push(gateway.containsSource('carriers', '10.0.0.1'), gateway.containsSource('carriers', '10.0.0.2'))
        out.push(await gateway.select('nobody').catch((e) => e.name))
        await gateway.addGroup('more', [{ uri: 'sip:gw.example' }], { probe: false })
        out.push((await gateway.list('more')).map((d) => d.name).join())
        await gateway.removeGroup('more')
        out.push((await gateway.groups()).length, JSON.parse(JSON.stringify(all[0])).attrs.where)
        return request.reply(480, out.join(' '))
      })`,
    )
    assert.equal(
      await r.said(),
      'a:München,b:München carriers b none manual_down b a true false true false ScriptError more-1 1 München',
    )
  })
})

describe('caches, timers and guards in a script', () => {
  it('share what one handler stores with the next', async (t) => {
    const r = await room(
      t,
      `import { cache, proxy } from 'siphon'
      proxy.onRequest(async (request) => {
        const was = await cache.fetch('c', 'schlüssel')
        await cache.store('c', 'schlüssel', (was ?? '') + 'é', { ttl: 60 })
        await cache.listPush('c', 'list', 'x')
        const out = [was, await cache.exists('c', 'schlüssel'), await cache.listLen('c', 'list'), cache.hasCache('d')]
        out.push(await cache.fetch('d', 'k').catch((e) => e.name))
        return request.reply(480, out.join(' '))
      })`,
    )
    assert.equal(await r.said(), ' true 1 false ScriptError')
    assert.equal(await r.said(), 'é true 2 false ScriptError')
  })

  it('run a timer once, unless it is cancelled or set again', async (t) => {
    const r = await room(
      t,
      `import { log, proxy, timer } from 'siphon'
      proxy.onRequest(async (request) => {
        timer.set('gone', 20, () => log.info('never'))
        timer.set('again', 20, () => log.info('first'))
        timer.set('again', 30, (key) => log.info('second ' + key))
        return request.reply(480, String(await timer.cancel('gone')) + ' ' + await timer.cancel('gone'))
      })`,
    )
    assert.equal(await r.said(), 'true false')
    await until(() => r.lines.some(({ text }) => text === 'second again'))
    assert.deepEqual(
      r.lines.map(({ text }) => text).filter((text) => /never|first/.test(text)),
      [],
    )
    assert.equal(r.timers.size, 0)
  })

  it('count a source, and find what is wrong with a request', async (t) => {
    const r = await room(
      t,
      `import { proxy } from 'siphon'
      proxy.onRequest(async (request) => {
        const memory = proxy.memoryUsedPct()
        const out = [await proxy.rateLimit(request, 86400, 2), proxy.sanityCheck(request), memory > 0 && memory <= 100]
        return request.reply(480, out.join(' '))
      })`,
    )
    assert.equal(await r.said(), 'true true true')
    assert.equal(await r.said({ headers: [['Content-Length', '7']] }), 'true false true')
    assert.equal(await r.said({ headers: [['Content-Length', '2']], body: 'é' }), 'false false true')
  })
})

describe('rewriting a request', () => {
  it('changes one thing and keeps the rest, the tags above all', async (t) => {
    const r = await room(
      t,
      `import { proxy } from 'siphon'
      proxy.onRequest((request) => {
        request.setFromUri('sip:+49301@example.net')
        request.setFromDisplay('Jürgen "J"')
        request.setToUri('sip:bob@example.net')
        request.setContactUser('gw')
        request.prependRoute('sip:10.0.0.7')
        request.ensureHeader('X-New', 1)
        request.ensureHeader('User-Agent', 'other')
        request.removeHeadersMatching('x-internal-')
        request.removeFromHeaderList('Supported', '100REL')
        return request.relay()
      })`,
    )
    const { edits } = await r.decide({
      headers: [
        ['Supported', 'path, 100rel, gruu'],
        ['X-Internal-A', '1'],
        ['X-Internal-B', '2'],
      ],
    })
    const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
    assert.deepEqual(edits, [
      ['set', 'From', 'Alice <sip:+49301@example.net>;tag=a1'],
      ['set', 'From', bytes('"Jürgen \\"J\\"" <sip:+49301@example.net>;tag=a1')],
      ['set', 'To', '<sip:bob@example.net>'],
      ['set', 'Contact', '<sip:gw@192.0.2.1:5060>;expires=600'],
      ['prepend', 'Route', '<sip:10.0.0.7;lr>'],
      ['set', 'X-New', '1'],
      ['remove', 'x-internal-a'],
      ['remove', 'x-internal-b'],
      ['set', 'Supported', 'path, gruu'],
    ])
  })

  it('is refused where it would break the message', async (t) => {
    const r = await room(
      t,
      `import { proxy } from 'siphon'
      proxy.onRequest((request) => {
        const out = []
        for (const wrong of [
          () => request.setFromUri('nonsense'),
          () => request.setFromUri('sip:a@b>;tag=x'),
          () => request.setToDisplay('a\\r\\nVia: x'),
          () => request.prependRoute('tel:1'),
          () => request.removeHeadersMatching('Vi'),
          () => request.sourceIpIn(['10.0.0.0/99']),
        ]) {
          try { wrong(); out.push('taken') } catch (e) { out.push((e as Error).name) }
        }
        return request.reply(480, [...new Set(out)].join(' ') + out.length)
      })`,
    )
    assert.equal(await r.said(), 'ScriptError6')
  })
})
