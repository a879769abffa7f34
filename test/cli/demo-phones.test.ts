import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { randomIdentifiers } from '../../src/base/identifiers.ts'
import { startDemoPhones } from '../../src/cli/demo-phones.ts'
import { RegistrarCore } from '../../src/core/registrar-core.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { TransactionLayer } from '../../src/stack/transaction-layer.ts'
import { TransportLayer } from '../../src/stack/transport-layer.ts'
import { buildResponse } from '../../src/sip/message/build.ts'

/** A registrar on a real socket that refuses every call, and counts what it is asked. */
async function refusingServer() {
  const clock = systemClock
  const identifiers = randomIdentifiers()
  const spine = createSpine((channel, error) => assert.fail(`${channel}: ${String(error)}`))
  const methods: string[] = []
  let onMethod: (() => void) | null = null
  const registrar = new RegistrarCore({
    clock,
    identifiers,
    spine,
    rules: { defaultExpires: 3600, minExpires: 60, maxExpires: 7200, maxContacts: 10 },
    isLocal: (host) => host === 'example.com',
  })
  const transport = new TransportLayer({
    clock,
    identifiers,
    spine,
    onMessage: (message, flow) => layer.onMessage(message, flow),
    onFlowClosed: () => undefined,
  })
  const layer: TransactionLayer = new TransactionLayer({
    clock,
    identifiers,
    spine,
    transport,
    user: {
      onRequest: (request, flow, accept) => {
        methods.push(request.method)
        const transaction = accept()
        if (request.method === 'REGISTER') transaction.respond(registrar.save(request, flow.path, flow, null))
        else transaction.respond(buildResponse(request, 486, { toTag: identifiers.tag() }))
        onMethod?.()
      },
      onCancel: () => undefined,
      onAck: () => undefined,
      onStrayResponse: () => undefined,
    },
  })
  const address = await transport.listen({
    protocol: 'udp',
    address: { host: '127.0.0.1', port: 0 },
    advertise: null,
  })
  return {
    address,
    registrar,
    methods,
    /** Resolves when so many requests of a method have come. */
    seen: (method: string, count: number) =>
      new Promise<void>((done) => {
        onMethod = () => {
          if (methods.filter((m) => m === method).length >= count) done()
        }
        onMethod()
      }),
    close: async () => {
      layer.close()
      registrar.close()
      await transport.close()
    },
  }
}

describe('demo phones', () => {
  it('register, call each other, and take their registrations back', { timeout: 20_000 }, async () => {
    const server = await refusingServer()
    const lines: string[] = []
    const phones = startDemoPhones({
      server: server.address,
      domain: 'example.com',
      callsPerSecond: 50,
      log: (line) => lines.push(line),
    })
    await server.seen('INVITE', 6)
    assert.equal(server.registrar.registrations, 2)
    assert.match(
      server.registrar.location.lookup('sip:alice@example.com')[0]?.uri ?? '',
      /^sip:alice@127\.0\.0\.1:\d+$/,
    )
    await phones.stop()
    assert.equal(server.registrar.registrations, 0)
    assert.ok(
      lines.includes('sip:alice@example.com and sip:bob@example.com are registered and call each other'),
    )
    assert.equal(lines.at(-1), 'the phones have stopped')
    await server.close()
  })

  it('stop before they have begun', { timeout: 20_000 }, async () => {
    const server = await refusingServer()
    const phones = startDemoPhones({
      server: server.address,
      domain: 'example.com',
      callsPerSecond: 1,
      log: () => undefined,
    })
    await phones.stop()
    await server.close()
  })
})
