import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RegistrarCore } from '../../src/core/registrar-core.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import { TransactionLayer } from '../../src/stack/transaction-layer.ts'
import { lab, type LabOptions } from '../support/lab.ts'

/** A server that is a registrar and nothing else. */
function registrarLab(options: LabOptions = {}) {
  const room = lab(options)
  const { clock, identifiers, spine, domain, server } = room
  const registrar = new RegistrarCore({
    clock,
    identifiers,
    spine,
    rules: { defaultExpires: 3600, minExpires: 60, maxExpires: 7200, maxContacts: 10 },
    isLocal: (host) => host === domain,
  })
  const transport = room.transport('siphon', server, (message, flow) => layer.onMessage(message, flow))
  const layer: TransactionLayer = new TransactionLayer({
    clock,
    identifiers,
    spine,
    transport,
    user: {
      onRequest: (request, flow, accept) => accept().respond(registrar.save(request, flow.path, flow, null)),
      onCancel: (cancel, _flow, _invite, accept) => accept().respond(buildResponse(cancel, 481)),
      onAck: () => undefined,
      onStrayResponse: () => undefined,
    },
  })
  return { ...room, registrar, layer, alice: room.phone('alice') }
}

describe('a registration', () => {
  it('lasts from the REGISTER to its expiry', () => {
    const { alice, clock, registrar, layer, assertLadder } = registrarLab({ latencyMs: 20 })
    alice.register(600)
    clock.advance(100)
    assertLadder(`
       0 alice  → siphon REGISTER
      20 siphon → alice  200 REGISTER`)
    assert.deepEqual(registrar.location.lookup('sip:alice@example.com'), [
      {
        uri: 'sip:alice@192.0.2.1:5060',
        q: 1,
        expires: 600,
        received: '192.0.2.1:5060',
        userAgent: 'SIPhon demo phone',
        ageSecs: 0,
        path: [],
        instance: null,
        regId: null,
        reference: '1 sip:alice@example.com',
      },
    ])
    clock.advance(600_000)
    assert.equal(registrar.registrations, 0)
    assert.deepEqual([layer.idle, clock.pendingTimers], [true, 0])
  })

  it('takes a repeated REGISTER for the one it repeats', () => {
    const { alice, clock, registrar } = registrarLab({ lose: ['siphon→alice #1'] })
    alice.register()
    clock.advance(1_000)
    assert.deepEqual(alice.log, ['200 REGISTER'])
    assert.equal(registrar.contacts, 1)
  })

  it('is refused as out of order when a refresh is overtaken by the next one', () => {
    const { alice, clock, registrar } = registrarLab({ delay: [['alice→siphon #2', 400]] })
    alice.register()
    clock.advance(1_000)
    alice.register(100)
    alice.register(200)
    clock.advance(1_000)
    assert.deepEqual(alice.log, ['200 REGISTER', '200 REGISTER', '500 REGISTER'])
    assert.equal(registrar.location.lookup(alice.aor)[0]?.expires, 199)
  })

  it('ends when the phone says so', () => {
    const { alice, clock, registrar } = registrarLab()
    alice.register()
    clock.advance(1_000)
    alice.unregister()
    clock.advance(1_000)
    assert.equal(registrar.registrations, 0)
  })
})
