import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import type { Address, Protocol } from '../../src/base/address.ts'
import type { Flow, Target } from '../../src/stack/transport.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import { until } from '../support/programs.ts'
import { options, transportLab, type TransportLab } from './transport-lab.ts'

const v6 = (lab: TransportLab, protocol: Protocol, host = '::1'): Promise<Address> =>
  lab.layer.listen({ protocol, address: { host, port: 0 }, advertise: null })
const reach = (lab: TransportLab, target: Target): Promise<Flow | null> =>
  new Promise((done) => lab.layer.reach(target, done))

describe('IPv6 beside IPv4', () => {
  it('over UDP: requests come in, answers go back, and requests leave by the socket of their family', async (t) => {
    const lab = await transportLab(t)
    const at = await v6(lab, 'udp')
    const peer = createSocket('udp6')
    t.after(() => peer.close())
    const got: string[] = []
    peer.on('message', (bytes) => void got.push(bytes.toString('latin1')))
    peer.send(options('SIP/2.0/UDP [2001:db8::9]:5070;rport;branch=z9hG4bK1'), at.port, '::1')
    const { message, flow } = await lab.request()
    assert.equal(flow.path.remote.host, '::1')
    assert.equal(message.via?.params.get('received'), '::1')
    assert.equal(message.via?.host, '2001:db8::9')
    lab.layer.responseFlow(message, flow, (back) => back?.send(buildResponse(message, 200)))
    await until('the answer', () => got.length === 1)
    assert.match(got[0] ?? '', /^Via: SIP\/2\.0\/UDP \[2001:db8::9\]:5070;/m)
    const out = await reach(lab, { protocol: 'udp', host: '::1', port: 5999 })
    assert.deepEqual(out?.path.local, at)
    const out4 = await reach(lab, { protocol: 'udp', host: '127.0.0.1', port: 5999 })
    assert.deepEqual(out4?.path.local, lab.udp)
  })

  it('over TCP', async (t) => {
    const lab = await transportLab(t)
    const at = await v6(lab, 'tcp')
    const peer = connect(at)
    t.after(() => peer.destroy())
    peer.write(options('SIP/2.0/TCP [::1]:5070'))
    const { flow } = await lab.request()
    assert.equal(flow.path.local.host, '::1')
    assert.equal(await reach(lab, { protocol: 'tcp', ...flow.path.remote }), flow)
  })

  it('has an own name for each family, and for the listener a request came in on', async (t) => {
    const lab = await transportLab(t)
    const at = await v6(lab, 'udp')
    const second = await lab.layer.listen({
      protocol: 'udp',
      address: { host: '127.0.0.1', port: 0 },
      advertise: { host: 'inside.example', port: 5060 },
    })
    const { layer } = lab
    assert.deepEqual(layer.sentBy('udp', { host: '2001:db8::1' }), at)
    assert.deepEqual(layer.sentBy('udp', { host: '192.0.2.1' }), lab.udp)
    assert.deepEqual(layer.sentBy('udp', { host: '192.0.2.1', local: second }), {
      host: 'inside.example',
      port: 5060,
    })
    // The same object for the same listener: by that a change of it is known.
    assert.equal(layer.sentBy('udp', { host: '::1' }), layer.sentBy('udp', { host: '::2', local: at }))
    const out = await reach(lab, { protocol: 'udp', host: '127.0.0.1', port: 5999, local: second })
    assert.deepEqual(out?.path.local, second)
    assert.ok(layer.isOurs('inside.example', null) && layer.isOurs('::1', at.port))
  })

  it('on every address: never calls itself 0.0.0.0 or ::, knows all its addresses, and tells observers a real one', async (t) => {
    const lab = await transportLab(t)
    for (const [any, loopback] of [
      ['0.0.0.0', '127.0.0.1'],
      ['::', '::1'],
    ] as const) {
      const { port } = await v6(lab, 'tcp', any)
      const toward = { host: loopback, local: { host: any, port } }
      assert.deepEqual(lab.layer.sentBy('tcp', toward), { host: loopback, port })
      assert.equal(lab.layer.sentBy('tcp', toward), lab.layer.sentBy('tcp', toward))
      assert.ok(lab.layer.isOurs(loopback, port))
      const path = {
        protocol: 'tcp',
        local: { host: any, port },
        remote: { host: loopback, port: 1 },
      } as const
      assert.deepEqual(lab.layer.advertised(path), { host: loopback, port })
    }
  })

  it('keeps one port for both families apart', async (t) => {
    const lab = await transportLab(t)
    const { port } = await v6(lab, 'tcp', '::')
    await lab.layer.listen({ protocol: 'tcp', address: { host: '0.0.0.0', port }, advertise: null })
  })
})
