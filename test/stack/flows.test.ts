import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Path } from '../../src/base/address.ts'
import type { MessageCrossed } from '../../src/spine/facts.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { DatagramFlow, StreamFlow } from '../../src/stack/flows.ts'
import { takesAnswers } from '../../src/stack/transport.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { registerRequest } from '../support/requests.ts'

const path: Path = {
  protocol: 'udp',
  local: { host: '192.0.2.9', port: 5060 },
  remote: { host: '192.0.2.1', port: 5062 },
}

function lab() {
  const clock = new FakeClock()
  const spine = createSpine(() => undefined)
  const crossed: string[] = []
  spine.messageSent.subscribe((fact: MessageCrossed) => {
    crossed.push(Buffer.from(fact.bytes).toString('latin1').split('\r\n')[0] ?? '')
    assert.equal(fact.at, clock.wallTime())
  })
  return { context: { clock, spine }, crossed }
}

describe('flows: what leaves is traced, what does not is not', () => {
  it('publishes the very bytes that were written', () => {
    const { context, crossed } = lab()
    const written: string[] = []
    const flow = new DatagramFlow(path, context, (text) => {
      written.push(text)
      return Buffer.from(text, 'latin1')
    })
    assert.equal(flow.send(registerRequest()), true)
    assert.match(written[0] ?? '', /^REGISTER sip:example\.com SIP\/2\.0\r\nVia: /)
    assert.deepEqual(crossed, ['REGISTER sip:example.com SIP/2.0'])
  })

  it('publishes nothing when the socket did not take the bytes', () => {
    const { context, crossed } = lab()
    assert.equal(new DatagramFlow(path, context, () => null).send(registerRequest()), false)
    assert.equal(
      new StreamFlow(path, context, { closed: false, send: () => false }).send(registerRequest()),
      false,
    )
    assert.deepEqual(crossed, [])
  })

  it('does not write to a closed connection', () => {
    const { context, crossed } = lab()
    const flow = new StreamFlow(path, context, { closed: true, send: () => assert.fail('written') })
    assert.equal(flow.closed, true)
    assert.equal(flow.send(registerRequest()), false)
    assert.deepEqual(crossed, [])
  })

  it('that nothing is read from any more takes responses only, and may end with the one that is owed', () => {
    const { context, crossed } = lab()
    let ended = 0
    const port = { closed: false, send: () => true, end: () => void ended++ }
    const flow = new StreamFlow(path, context, port)
    const request = registerRequest()
    const answer = (status: number, to = request): boolean => flow.send(buildResponse(to, status))
    flow.deafen()
    assert.equal(flow.endWithAnswer(), false)
    flow.owe(request)
    assert.deepEqual([flow.closed, flow.answers, takesAnswers(flow)], [true, true, true])
    assert.deepEqual([flow.send(request), flow.ping('\r\n\r\n')], [false, false])
    assert.equal(flow.endWithAnswer(), true)
    // Neither is it.
    for (const status of [100, 180]) assert.equal(answer(status), true)
    assert.equal(answer(200, registerRequest({ cseq: 2 })), true)
    assert.equal(answer(200, registerRequest({ callId: 'two' })), true)
    assert.equal(ended, 0)
    assert.equal(answer(404), true)
    assert.equal(ended, 1)
    assert.equal(flow.endWithAnswer(), false)
    assert.equal(crossed.length, 5)
    port.closed = true
    assert.deepEqual([flow.answers, answer(404)], [false, false])
  })

  it('has an id that no other flow ever has; a datagram flow is unreliable, a stream flow reliable', () => {
    const { context } = lab()
    const flows = [0, 1].flatMap(() => [
      new DatagramFlow(path, context, () => Buffer.alloc(0)),
      new StreamFlow(path, context, { closed: false, send: () => true }),
    ])
    assert.equal(new Set(flows.map((f) => f.id)).size, 4)
    assert.deepEqual(
      flows.map((f) => f.reliable),
      [false, true, false, true],
    )
  })
})
