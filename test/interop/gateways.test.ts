import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { missing, until, type Running } from '../support/programs.ts'
import { freePort, type Siphon, startSiphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

/** Groups of real gateways: sipp that takes calls and answers OPTIONS (-aa), refuses, dies and comes back. */

function gatewayAt(t: TestContext, port: number, scenario = 'uas.xml'): Running {
  const running = startCallee(port, { scenario, extra: ['-aa'] })
  t.after(() => running.stop('SIGKILL'))
  return running
}

async function call(siphon: Siphon, calls: number): Promise<void> {
  const { successful, failed, output } = await runCaller({
    target: siphon.target,
    localPort: await freePort(),
    rate: 20,
    calls,
    holdMs: 10,
    // From elsewhere than the gateways, whose calls the script takes for calls to its users.
    extra: ['-i', '127.0.0.2'],
  })
  assert.deepEqual([successful, failed], [calls, 0], output)
}

const answered = (siphon: Siphon, name: string): Promise<number> =>
  siphon.metric(`siphon_gateway_requests_total{group="carriers",destination="${name}",result="answered"}`)
const up = (siphon: Siphon, name: string): Promise<number> =>
  siphon.metric(`siphon_gateway_up{group="carriers",destination="${name}"}`)
const becomes = (siphon: Siphon, name: string, value: number): Promise<unknown> =>
  until(
    `${name} to be ${value === 1 ? 'up' : 'down'}`,
    async () => (await up(siphon, name)) === value,
    10_000,
  )

describe('gateways that are sipp', { skip: missing('sipp') }, () => {
  it('share calls by weight; one that refuses is passed by, one that dies is found out and comes back', async (t) => {
    const [one, two, refusing] = [await freePort(), await freePort(), await freePort()]
    const first = gatewayAt(t, one)
    gatewayAt(t, two)
    gatewayAt(t, refusing, 'uas-503.xml')
    const siphon = await startSiphon({
      script: 'gateway-failover.ts',
      yaml: `gateway:
  groups:
    - name: carriers
      probe: { interval_secs: 1, timeout_secs: 0.5, failure_threshold: 2 }
      circuit: { failures: 0 }
      destinations:
        - { name: gw1, uri: "sip:gw@127.0.0.1:${one}", weight: 3 }
        - { name: gw2, uri: "sip:gw@127.0.0.1:${two}", weight: 1 }
        - { name: full, uri: "sip:gw@127.0.0.1:${refusing}", weight: 1 }
        - { name: spare, uri: "sip:gw@127.0.0.1:9", priority: 9 }
`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    // Every series is there from the start.
    const results = ['answered', 'refused', 'unavailable', 'no_answer', 'timeout', 'unreachable', 'cancelled']
    const series = [...(await siphon.metrics()).keys()].filter((k) =>
      k.startsWith('siphon_gateway_requests_total'),
    )
    assert.equal(series.length, 4 * results.length)

    // `full` answers OPTIONS, and refuses calls: the caller sees nothing of that.
    await call(siphon, 20)
    await until(
      'every call to be counted',
      async () => (await siphon.sum('siphon_gateway_requests_total', /answered/)) === 20,
    )
    const [a, b] = [await answered(siphon, 'gw1'), await answered(siphon, 'gw2')]
    assert.equal(
      await siphon.metric(
        'siphon_gateway_requests_total{group="carriers",destination="full",result="unavailable"}',
      ),
      4,
    )
    // 12 and 4 by weight; the four that were refused went on to the one that was owed most.
    assert.ok(a >= 12 && b >= 4, `${a} ${b}`)
    assert.equal(
      await siphon.metric('siphon_gateway_response_seconds_count{group="carriers",destination="gw1"}'),
      a,
    )

    await first.stop('SIGKILL')
    await becomes(siphon, 'gw1', 0)
    await call(siphon, 10)
    await until('the calls of the others', async () => (await answered(siphon, 'gw2')) === b + 10)
    assert.equal(await answered(siphon, 'gw1'), a)

    gatewayAt(t, one)
    await becomes(siphon, 'gw1', 1)
    await call(siphon, 10)
    await until('calls to it again', async () => (await answered(siphon, 'gw1')) > a)
  })

  it('stay down by hand while they answer every probe, until they are put back by hand', async (t) => {
    const [one, two] = [await freePort(), await freePort()]
    gatewayAt(t, one)
    gatewayAt(t, two)
    const siphon = await startSiphon({
      script: 'gateway-failover.ts',
      yaml: `gateway:
  groups:
    - name: carriers
      probe: { interval_secs: 1, timeout_secs: 0.5 }
      destinations:
        - { name: gw1, uri: "sip:gw@127.0.0.1:${one}" }
        - { name: gw2, uri: "sip:gw@127.0.0.1:${two}" }
`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    const post = (path: string): Promise<{ status: number; body: unknown }> =>
      siphon.admin(`/admin/gateways/${path}`, { method: 'POST' })
    assert.deepEqual(await post('carriers/gw1/down'), {
      status: 200,
      body: { status: 'down', group: 'carriers', destination: 'gw1' },
    })
    assert.equal((await post('carriers/gw9/down')).status, 404)
    assert.equal((await post('nobody/gw1/down')).status, 404)
    assert.equal((await post('carriers/gw1/sideways')).status, 400)
    const probes = 'siphon_gateway_probes_total{group="carriers",destination="gw1",outcome="answered"}'
    const before = await siphon.metric(probes)
    await until('three more probes', async () => (await siphon.metric(probes)) >= before + 3, 10_000)
    assert.equal(await up(siphon, 'gw1'), 0)
    await call(siphon, 10)
    assert.equal(await answered(siphon, 'gw1'), 0)
    const { body } = await siphon.admin('/admin/gateways')
    const [group] = body as {
      up: number
      total: number
      destinations: {
        name: string
        state: string
        healthy: boolean
        transport: string
        checks_missed: number
      }[]
    }[]
    assert.deepEqual([group?.up, group?.total], [1, 2])
    assert.deepEqual(
      group?.destinations.map(({ transport, checks_missed: missed }) => [transport, missed]),
      [
        ['UDP', 0],
        ['UDP', 0],
      ],
    )
    assert.deepEqual(
      group?.destinations.map(({ name, state, healthy }) => [name, state, healthy]),
      [
        ['gw1', 'manual_down', false],
        ['gw2', 'up', true],
      ],
    )
    await post('carriers/gw1/up')
    assert.equal(await up(siphon, 'gw1'), 1)
    await call(siphon, 10)
    await until('half of the calls', async () => (await answered(siphon, 'gw1')) === 5)
  })
})
