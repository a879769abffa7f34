import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DEFAULT_CIRCUIT, DEFAULT_PROBE, type RerouteCause } from '../../src/core/gateway/settings.ts'
import type { Decision } from '../../src/core/verdict.ts'
import { decision, lab, request } from './lab.ts'

const ALICE = '10.0.0.1'
const ONE = '10.0.0.21'
const TWO = '10.0.0.22'

/** A proxy with two gateways, and what it says of requests to them. */
function room(rerouteCauses: readonly RerouteCause[] = [503, 408, 'transport'], failures = 5) {
  const l = lab()
  l.gateways.add(
    {
      name: 'gws',
      algorithm: 'weighted',
      probe: { ...DEFAULT_PROBE, enabled: false },
      circuit: { ...DEFAULT_CIRCUIT, failures },
      sourceNetworks: [],
      rerouteCauses,
      destinations: [ONE, TWO].map((host, i) => ({
        name: `gw${i + 1}`,
        uri: `sip:${host}`,
        hop: `sip:${host}`,
        address: null,
        weight: 1,
        priority: 1,
        attrs: {},
      })),
    },
    true,
  )
  const results: string[] = []
  l.spine.gatewayEnded.subscribe(({ destination, outcome }) => results.push(`${destination} ${outcome}`))
  return { ...l, results }
}

const both: Decision = decision({
  do: 'fork',
  targets: [`sip:${ONE}`, `sip:${TWO}`],
  strategy: 'sequential',
  gateways: ['gws/gw1', 'gws/gw2'],
})

function call(l: ReturnType<typeof room>, verdict: Decision = both): void {
  l.script.request.push(verdict)
  l.receive(request('INVITE', { uri: 'sip:+4930123@example.com' }), ALICE)
}

function end(l: ReturnType<typeof room>): void {
  l.clock.advance(300_000)
  assert.deepEqual(l.leftovers(), [])
}

describe('a call through gateways', () => {
  it('goes on to the next after a cause of the group; the Request-URI stays', () => {
    const l = room()
    call(l)
    assert.equal(l.lastTo(ONE, 'INVITE').uri, 'sip:+4930123@example.com')
    l.answer(ONE, 'INVITE', 503)
    l.answer(TWO, 'INVITE', 200)
    assert.equal(l.lastTo(TWO, 'INVITE').uri, 'sip:+4930123@example.com')
    assert.equal(l.lastResponse(ALICE).status, 200)
    assert.deepEqual(l.results, ['gw1 unavailable', 'gw2 answered'])
    end(l)
  })

  it('ends with a failure that is no cause: nobody else is called', () => {
    const l = room()
    call(l)
    l.answer(ONE, 'INVITE', 486)
    assert.equal(l.lastResponse(ALICE).status, 486)
    assert.throws(() => l.lastTo(TWO, 'INVITE'))
    assert.deepEqual(l.results, ['gw1 refused'])
    end(l)
  })

  it('goes on after one that cannot be reached, where transport is a cause, and not where it is not', () => {
    const on = room()
    on.unreachable.add(ONE)
    call(on)
    on.answer(TWO, 'INVITE', 200)
    assert.deepEqual(on.results, ['gw1 unreachable', 'gw2 answered'])
    end(on)
    const off = room([503])
    off.unreachable.add(ONE)
    call(off)
    assert.throws(() => off.lastTo(TWO, 'INVITE'))
    assert.equal(off.lastResponse(ALICE).status, 500)
    end(off)
  })

  it('goes on after silence, which counts as 408', () => {
    const l = room()
    call(l)
    l.clock.advance(32_000)
    l.answer(TWO, 'INVITE', 200)
    assert.deepEqual(l.results, ['gw1 timeout', 'gw2 answered'])
    end(l)
  })

  it('does not go on after a CANCEL, which says nothing of the gateway', () => {
    const l = room()
    call(l)
    l.answer(ONE, 'INVITE', 180)
    l.receive(request('CANCEL', { uri: 'sip:+4930123@example.com', branch: 'z9hG4bK-INVITE-1' }), ALICE)
    l.answer(ONE, 'INVITE', 487)
    assert.deepEqual(l.results, ['gw1 cancelled'])
    assert.throws(() => l.lastTo(TWO, 'INVITE'))
    assert.equal(l.lastResponse(ALICE).status, 487)
    end(l)
  })

  it('opens the circuit after calls that failed in a row; a call that rings closes it', () => {
    const l = room([503], 2)
    const state = (): string | undefined => l.gateways.rows()[0]?.destinations[0]?.state
    const relayed = decision({ do: 'relay', target: `sip:${ONE}`, gateway: 'gws/gw1' })
    for (const [i, status] of [503, 503].entries()) {
      l.script.request.push(relayed)
      l.receive(request('INVITE', { callId: `c${i}`, branch: `z9hG4bK-c${i}` }), ALICE)
      l.answer(ONE, 'INVITE', status)
    }
    assert.equal(state(), 'circuit_open')
    l.clock.advance(DEFAULT_CIRCUIT.holdMs)
    assert.equal(l.gateways.select('gws', { key: null, attrs: {}, exclude: ['gw2'] })?.settings.name, 'gw1')
    // The trial: nobody else gets it meanwhile.
    assert.equal(l.gateways.select('gws', { key: null, attrs: {}, exclude: ['gw2'] }), null)
    l.script.request.push(relayed)
    l.receive(request('INVITE', { callId: 'c9', branch: 'z9hG4bK-c9' }), ALICE)
    l.answer(ONE, 'INVITE', 180)
    assert.equal(state(), 'up')
    l.answer(ONE, 'INVITE', 200)
    assert.deepEqual(l.results.at(-1), 'gw1 answered')
    end(l)
  })
})
