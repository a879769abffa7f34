import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Gateways } from '../../../src/core/gateway/gateways.ts'
import { PROBE_OUTCOMES, REQUEST_RESULTS } from '../../../src/core/gateway/health.ts'
import { Prober, type ProbeResult } from '../../../src/core/gateway/prober.ts'
import {
  DEFAULT_CIRCUIT,
  DEFAULT_PROBE,
  DEFAULT_REROUTE_CAUSES,
  type GroupSettings,
} from '../../../src/core/gateway/settings.ts'
import { GATEWAY_RESULTS, PROBE_OUTCOMES as DECLARED } from '../../../src/observe/metrics/gateway-tap.ts'
import { createSpine } from '../../../src/spine/spine.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const ANY = { key: null, attrs: {}, exclude: [] }

/** A group whose destinations are named as given, one weight each. */
export function group(names: readonly string[], more: Partial<GroupSettings> = {}): GroupSettings {
  return {
    name: 'carriers',
    algorithm: 'weighted',
    probe: { ...DEFAULT_PROBE, intervalMs: 10_000, timeoutMs: 1_000, failureThreshold: 2 },
    circuit: DEFAULT_CIRCUIT,
    sourceNetworks: [],
    rerouteCauses: DEFAULT_REROUTE_CAUSES,
    destinations: names.map((name, i) => ({
      name,
      uri: `sip:10.0.0.2${i + 1}`,
      hop: `sip:10.0.0.2${i + 1}`,
      address: null,
      weight: 1,
      priority: 1,
      attrs: { region: i % 2 === 0 ? 'eu' : 'us' },
    })),
    ...more,
  }
}

function table(settings: GroupSettings, fixed = true) {
  const clock = new FakeClock()
  const spine = createSpine((_channel, error) => {
    throw error
  })
  const logs: string[] = []
  spine.logged.subscribe(({ level, text }) => logs.push(`${level} ${text}`))
  const gateways = new Gateways(clock, spine)
  assert.equal(gateways.add(settings, fixed), null)
  return { clock, spine, gateways, logs }
}

describe('the table of gateways', () => {
  it('counts in metrics what the core knows, under the same names', () => {
    assert.deepEqual(GATEWAY_RESULTS, REQUEST_RESULTS)
    assert.deepEqual(DECLARED, PROBE_OUTCOMES)
  })

  it('selects by attributes, without those excluded; null when none is left, undefined without the group', () => {
    const { gateways } = table(group(['a', 'b', 'c']))
    const names = (wish: object): string[] =>
      (gateways.list('carriers', { ...ANY, ...wish }) ?? []).map(({ settings }) => settings.name)
    assert.deepEqual(names({ attrs: { region: 'us' } }), ['b'])
    assert.deepEqual(names({ attrs: { region: 'eu' }, exclude: ['a'] }), ['c'])
    assert.equal(gateways.select('carriers', { ...ANY, attrs: { region: 'mars' } }), null)
    assert.equal(gateways.select('others', ANY), undefined)
  })

  it('marks by name or URI, and says so in the log once', () => {
    const { gateways, logs } = table(group(['a', 'b']))
    assert.equal(gateways.mark('carriers', 'sip:10.0.0.21', 'down'), 'a')
    gateways.mark('carriers', 'a', 'down')
    assert.equal(gateways.mark('carriers', 'c', 'down'), null)
    assert.deepEqual(logs, ['warn carriers/a is down (manual_down): marked down by hand'])
    for (let i = 0; i < 4; i++) assert.equal(gateways.select('carriers', ANY)?.settings.name, 'b')
  })

  it('keeps manual downs and health over an equal group, and refuses to change one of siphon.yaml', () => {
    const { gateways } = table(group(['a', 'b']), false)
    gateways.mark('carriers', 'a', 'down')
    assert.equal(gateways.add(group(['a', 'b', 'c'], { circuit: { ...DEFAULT_CIRCUIT, failures: 9 } })), null)
    assert.equal(gateways.rows()[0]?.destinations[0]?.state, 'manual_down')
    assert.equal(gateways.remove('carriers'), null)
    assert.deepEqual(gateways.names, [])
    const fixed = table(group(['a'])).gateways
    assert.match(fixed.add(group(['b'])) ?? '', /siphon\.yaml/)
    assert.match(fixed.remove('carriers') ?? '', /siphon\.yaml/)
  })

  it('knows its sources: networks, and destinations that are addresses', () => {
    const settings = group(['a'], { sourceNetworks: ['192.0.2.0/24', '2001:db8::/32'] })
    const found = table(settings).gateways.get('carriers')
    const ips = ['10.0.0.21', '192.0.2.9', '::ffff:192.0.2.9', '2001:db8::1', '10.0.0.22', 'gw']
    assert.deepEqual(
      ips.map((ip) => found?.containsSource(ip)),
      [true, true, true, true, false, false],
    )
  })
})

describe('probes', () => {
  function probing(settings: GroupSettings, random = 0.5) {
    const lab = table(settings)
    const asked: { at: number; uri: string; answer: (result: ProbeResult) => void }[] = []
    const prober = new Prober(
      lab.clock,
      lab.gateways,
      { probe: ({ uri }, answer) => void asked.push({ at: lab.clock.now(), uri, answer }) },
      () => random,
    )
    lab.gateways.watch(prober)
    return { ...lab, asked, prober }
  }

  it('begin within one interval and go on at intervals that vary by a tenth', () => {
    const late = probing(group(['a']), 1)
    late.clock.advance(33_000)
    assert.deepEqual(
      late.asked.map(({ at }) => at),
      [10_000, 21_000, 32_000],
    )
    const soon = probing(group(['a']), 0)
    soon.clock.advance(20_000)
    assert.deepEqual(
      soon.asked.map(({ at }) => at),
      [0, 9_000, 18_000],
    )
    soon.prober.stop()
    soon.clock.advance(100_000)
    assert.equal(soon.asked.length, 3)
    assert.equal(soon.clock.pendingTimers, 0)
  })

  it('take any final answer but 503 and 408 as a sign of life; 503 with Retry-After holds', () => {
    const { clock, asked, gateways } = probing(group(['a']))
    const state = (): string | undefined => gateways.rows()[0]?.destinations[0]?.state
    const next = (result: ProbeResult): void => {
      clock.advance(10_000)
      asked.shift()?.answer(result)
    }
    for (const status of [200, 404, 405, 486, 603]) {
      next({ status, retryAfterSecs: null })
      assert.equal(state(), 'up')
    }
    next({ status: 408, retryAfterSecs: null })
    next({ status: null, failure: 'timeout' })
    assert.equal(state(), 'probes_failed')
    next({ status: 200, retryAfterSecs: null })
    assert.equal(state(), 'up')
    next({ status: 503, retryAfterSecs: 15 })
    assert.equal(state(), 'held')
    next({ status: 200, retryAfterSecs: null })
    assert.equal(state(), 'held')
    next({ status: 200, retryAfterSecs: null })
    assert.equal(state(), 'up')
  })

  it('are not sent where they are off, and end with their group', () => {
    const off = probing(group(['a'], { probe: { ...DEFAULT_PROBE, enabled: false } }))
    off.clock.advance(1_000_000)
    assert.equal(off.asked.length, 0)
    const lab = probing(group(['a']))
    lab.gateways.add(group(['b'], { name: 'more' }))
    lab.gateways.remove('more')
    lab.clock.advance(30_000)
    assert.equal(
      lab.asked.every(({ uri }) => uri === 'sip:10.0.0.21'),
      true,
    )
    assert.equal(lab.clock.pendingTimers, 1)
  })
})
