import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { rowOf } from '../../src/core/binding-rows.ts'
import { RegistrarCore, type RegistrarCoreOptions } from '../../src/core/registrar-core.ts'
import type { Response } from '../../src/sip/message/message.ts'
import type { BindingRow } from '../../src/spine/bindings.ts'
import type { RegistrationChanged } from '../../src/spine/facts.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { countingIdentifiers } from '../support/counting-identifiers.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RecordingFlow, registerRequest, type RegisterOptions } from '../support/requests.ts'

function registrar(options: Partial<RegistrarCoreOptions> = {}) {
  const clock = new FakeClock()
  const spine = createSpine((channel, error) => assert.fail(`${channel}: ${String(error)}`))
  const facts: RegistrationChanged[] = []
  spine.registrationChanged.subscribe((fact) => facts.push(fact))
  const core = new RegistrarCore({
    clock,
    identifiers: countingIdentifiers(),
    spine,
    rules: { defaultExpires: 3600, minExpires: 60, maxExpires: 7200, maxContacts: 10 },
    isLocal: (host) => host === 'example.com' || host === '2001:db8::1',
    ...options,
  })
  return {
    clock,
    core,
    facts,
    get events(): string[] {
      return facts.map(({ aor, event, contact }) => `${event} ${aor} ${contact}`)
    },
    save(of: RegisterOptions, flow = new RecordingFlow(), authUser: string | null = null): Response {
      return core.save(registerRequest(of), flow.path, flow, authUser)
    },
  }
}

const BOB = 'sip:bob@example.com'

function listed(core: RegistrarCore, limit: number, between: () => void = () => undefined): string[] {
  const uris: string[] = []
  let cursor: string | null = null
  do {
    const { rows, next } = core.listing.page(cursor, limit)
    assert.ok(rows.length <= limit)
    uris.push(...rows.map(({ uri }) => uri))
    cursor = next
    between()
  } while (cursor !== null)
  return uris
}

describe('registrar', () => {
  it('answers 200 with every contact, a To tag and the date', () => {
    const { save } = registrar()
    save({ contacts: ['<sip:a@192.0.2.1>'] })
    const response = save({ contacts: ['<sip:b@192.0.2.2>;expires=90'], cseq: 2 })
    assert.equal(response.status, 200)
    assert.deepEqual(response.headers.all('contact'), [
      '<sip:a@192.0.2.1>;expires=3600',
      '<sip:b@192.0.2.2>;expires=90',
    ])
    assert.equal(response.toTag, 'tag2')
    assert.equal(response.headers.first('date'), 'Thu, 01 Jan 2026 00:00:00 GMT')
  })

  it('says why not: 404 for what is not ours, 420 for an extension, 423 with Min-Expires', () => {
    const { save, core } = registrar()
    const contacts = ['<sip:a@192.0.2.1>']
    assert.equal(save({ contacts, aor: 'sip:alice@elsewhere.example' }).status, 404)
    assert.equal(save({ contacts, uri: 'sip:elsewhere.example' }).status, 404)
    assert.equal(save({ contacts, aor: 'sip:example.com' }).status, 404)
    assert.equal(save({ contacts, aor: 'tel:+1' }).status, 404)
    const extension = save({ contacts, headers: [['Require', 'path, teleport']] })
    assert.deepEqual([extension.status, extension.headers.first('unsupported')], [420, 'teleport'])
    const brief = save({ contacts, expires: 10 })
    assert.deepEqual([brief.status, brief.headers.first('min-expires')], [423, '60'])
    assert.equal(core.registrations, 0)
  })

  it('can refuse who registers for another', () => {
    const { save } = registrar({ enforceAuthAorMatch: true })
    const of = { contacts: ['<sip:a@192.0.2.1>'] }
    assert.equal(save(of, undefined, 'bob').status, 403)
    assert.equal(save(of, undefined, 'alice').status, 200)
    assert.equal(save({ ...of, cseq: 2 }, undefined, 'alice@example.com').status, 200)
    assert.equal(save({ ...of, cseq: 3, aor: 'sip:a%25b@example.com' }, undefined, 'a%b').status, 200)
  })

  it('looks up by q, then the newest first, by any spelling of the address-of-record', () => {
    const { save, core, clock } = registrar()
    save({ contacts: ['<sip:low@h>;q=0.1', '<sip:old@h>;q=0.5'], headers: [['User-Agent', 'Phone/1']] })
    clock.advance(1_500)
    save({ contacts: ['<sip:new@h>;q=0.5'], cseq: 2 }, new RecordingFlow('udp', '2001:db8::7', 5070))
    for (const uri of ['sip:alice@EXAMPLE.com:5060;transport=tcp', 'sip:%61lice@example.com']) {
      const found = core.location.lookup(uri).map(({ uri, q, expires, received, userAgent }) => ({
        uri,
        q,
        expires,
        received,
        userAgent,
      }))
      assert.deepEqual(found, [
        { uri: 'sip:new@h', q: 0.5, expires: 3600, received: '[2001:db8::7]:5070', userAgent: null },
        { uri: 'sip:old@h', q: 0.5, expires: 3599, received: '192.0.2.1:5060', userAgent: 'Phone/1' },
        { uri: 'sip:low@h', q: 0.1, expires: 3599, received: '192.0.2.1:5060', userAgent: 'Phone/1' },
      ])
    }
    assert.deepEqual(core.location.lookup('sip:Alice@example.com'), [])
    assert.deepEqual(core.location.lookup('tel:+1'), [])
    assert.deepEqual(core.location.lookup('not a uri'), [])
  })

  it('tells each change once, with the request that made it', () => {
    const lab = registrar()
    lab.save({ contacts: ['<sip:a@h>'], headers: [['User-Agent', 'Phone/1']] })
    lab.save({ contacts: ['<sip:a@h>', '<sip:b@h>'], cseq: 2, expires: 100 })
    lab.save({ contacts: ['<sip:a@h>;expires=0'], cseq: 3 })
    lab.clock.advance(100_000)
    lab.save({ contacts: ['<sip:a@h>;expires=5'], cseq: 4 })
    assert.deepEqual(lab.events, [
      'registered sip:alice@example.com sip:a@h',
      'refreshed sip:alice@example.com sip:a@h',
      'registered sip:alice@example.com sip:b@h',
      'deregistered sip:alice@example.com sip:a@h',
      'expired sip:alice@example.com sip:b@h',
    ])
    const [first, , , , last] = lab.facts
    assert.deepEqual(first, {
      aor: 'sip:alice@example.com',
      event: 'registered',
      reason: 'request',
      contact: 'sip:a@h',
      callId: 'one',
      at: Date.UTC(2026, 0, 1),
      path: {
        protocol: 'udp',
        local: { host: '192.0.2.254', port: 5060 },
        remote: { host: '192.0.2.1', port: 5060 },
      },
      userAgent: 'Phone/1',
      fromUri: 'sip:alice@example.com',
      ruri: 'sip:example.com',
    })
    assert.deepEqual([last?.path, last?.ruri, last?.callId], [null, 'sip:alice@example.com', 'one'])
  })

  it('counts addresses-of-record, whatever their contacts do', () => {
    const { save, core, clock } = registrar()
    save({ contacts: ['<sip:a@h>', '<sip:b@h>'] })
    save({ contacts: ['<sip:c@h>'], aor: BOB, expires: 60 })
    assert.deepEqual([core.registrations, core.contacts], [2, 3])
    save({ contacts: ['<sip:a@h>'], cseq: 2 })
    save({ contacts: ['<sip:a@h>;expires=0'], cseq: 3 })
    assert.deepEqual([core.registrations, core.contacts], [2, 2])
    clock.advance(60_000)
    assert.deepEqual([core.registrations, core.contacts], [1, 1])
    assert.equal(core.remove('alice@example.com'), 'sip:alice@example.com')
    assert.equal(core.remove('alice@example.com'), null)
    assert.deepEqual([core.registrations, core.contacts], [0, 0])
    assert.equal(clock.pendingTimers, 0)
  })

  it('has no special names', () => {
    const { save, core } = registrar()
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const aor = `sip:${name}@example.com`
      assert.deepEqual(core.location.lookup(aor), [])
      assert.equal(save({ aor, contacts: [`<sip:${name}@h>`] }).status, 200)
      assert.equal(core.location.lookup(aor).length, 1)
      assert.equal(core.remove(name + '@example.com'), aor)
    }
  })

  it('shows operators one address-of-record', () => {
    const { save, core } = registrar()
    save({ contacts: ['<sip:a@h>;q=0.2', '<sip:b@h>'] })
    const found = core.listing.contactsOf('sip%3Aalice%40EXAMPLE.com')
    assert.equal(found?.aor, 'sip:alice@example.com')
    assert.deepEqual(found?.contacts[0], {
      aor: 'sip:alice@example.com',
      uri: 'sip:b@h',
      q: 1,
      expiresRemaining: 3600,
      received: '192.0.2.1:5060',
      userAgent: null,
      callId: 'one',
      instance: null,
      regId: null,
      path: [],
    })
    assert.equal(core.listing.contactsOf(BOB), null)
    assert.equal(core.listing.contactsOf('nonsense'), null)
  })

  describe('flows of RFC 5626', () => {
    const flowOf = (regId: number): RegisterOptions => ({
      contacts: [`<sip:a@10.0.0.7>;+sip.instance="<urn:uuid:1>";reg-id=${regId}`],
      callId: `r${regId}`,
      headers: [['Supported', 'path, outbound']],
    })

    it('end with their connection, and no other binding does', () => {
      const lab = registrar()
      const [first, second] = [new RecordingFlow('tcp'), new RecordingFlow('tcp')]
      lab.save(flowOf(1), first)
      lab.save(flowOf(2), second)
      lab.save({ contacts: ['<sip:plain@10.0.0.8;transport=tcp>'] }, first)
      first.closed = true
      lab.core.onFlowClosed(first)
      assert.deepEqual(
        lab.core.location.lookup('sip:alice@example.com').map(({ uri, regId }) => [uri, regId]),
        [
          ['sip:plain@10.0.0.8;transport=tcp', null],
          ['sip:a@10.0.0.7', 2],
        ],
      )
      assert.equal(lab.facts.at(-1)?.reason, 'flow_closed')
    })

    it('of an earlier run are reached by their URI, those over UDP where they came from', () => {
      const before = registrar()
      const rows: BindingRow[] = []
      before.core.watch(({ binding }) => rows.push(rowOf(binding, before.clock.wallTime())))
      before.save(flowOf(1), new RecordingFlow('tcp'))
      before.save(flowOf(2), new RecordingFlow('udp', '198.51.100.7', 999))
      const { core } = registrar()
      assert.equal(core.restore(rows), 2)
      const ways = core.location
        .lookup('sip:alice@example.com')
        .map(({ reference }) => core.location.wayTo(reference))
      assert.deepEqual(
        ways.map((way) => [way?.dead, way?.target?.host, way?.target?.port]),
        [
          [false, '198.51.100.7', 999],
          [false, undefined, undefined],
        ],
      )
      assert.equal(core.registrations, 1)
    })
  })

  it('lets one REGISTER take the place of all others when it is forced', () => {
    const { core, clock } = registrar()
    const flow = new RecordingFlow()
    const save = (of: RegisterOptions, force = false): Response =>
      core.save(registerRequest(of), flow.path, flow, null, { force })
    for (let i = 0; i < 10; i++) save({ contacts: [`<sip:a${i}@h>`], cseq: i + 1 })
    assert.equal(save({ contacts: ['<sip:new@h>'], cseq: 20 }).status, 403)
    assert.equal(save({ contacts: ['<sip:new@h>'], cseq: 21 }, true).status, 200)
    assert.deepEqual(
      core.location.lookup('sip:alice@example.com').map(({ uri }) => uri),
      ['sip:new@h'],
    )
    core.close()
    assert.equal(clock.pendingTimers, 0)
  })

  describe('connections', () => {
    const ALICE = 'sip:alice@example.com'

    it('reaches a contact over the connection it registered on, while that is open', () => {
      const { save, core } = registrar()
      const first = new RecordingFlow('tcp')
      const second = new RecordingFlow('tcp')
      save({ contacts: ['<sip:a@10.0.0.7;transport=tcp>'] }, first)
      assert.equal(core.location.flowFor('sip:a@10.0.0.7;transport=tcp', ALICE), first)
      save({ contacts: ['<sip:a@10.0.0.7;transport=tcp>'], cseq: 2 }, second)
      assert.equal(core.location.flowFor('sip:a@10.0.0.7;transport=tcp', 'sip:alice@EXAMPLE.com;x=y'), second)
      second.closed = true
      assert.equal(core.location.flowFor('sip:a@10.0.0.7;transport=tcp', ALICE), null)
      assert.equal(core.location.flowFor('sip:unknown@h', ALICE), null)
    })

    it('has none for a contact that registered by datagrams, or is gone', () => {
      const { save, core, clock } = registrar()
      save({ contacts: ['<sip:a@h>'] })
      assert.equal(core.location.flowFor('sip:a@h', ALICE), null)
      save({ contacts: ['<sip:b@h>'], cseq: 2, expires: 60 }, new RecordingFlow('tcp'))
      assert.notEqual(core.location.flowFor('sip:b@h', ALICE), null)
      clock.advance(60_000)
      assert.equal(core.location.flowFor('sip:b@h', ALICE), null)
    })

    it('does not hand a call to who registers the contact of another', () => {
      const { save, core } = registrar()
      const contacts = ['<sip:bob@192.0.2.9>']
      const mallorys = new RecordingFlow('tcp', '192.0.2.9')
      save({ aor: BOB, contacts })
      save({ aor: 'sip:mallory@example.com', contacts }, mallorys)
      assert.equal(core.location.flowFor('sip:bob@192.0.2.9', BOB), null)
      assert.equal(core.location.flowFor('sip:bob@192.0.2.9'), null)
      assert.equal(core.location.flowFor('sip:bob@192.0.2.9', 'sip:mallory@example.com'), mallorys)
    })

    it('does not hand a call to who registers a gateway', () => {
      const { save, core } = registrar()
      save({ contacts: ['<sip:192.0.2.200:5060>'] }, new RecordingFlow('tcp', '203.0.113.66'))
      assert.equal(core.location.flowFor('sip:192.0.2.200:5060'), null)
      assert.equal(core.location.flowFor('sip:192.0.2.200:5060', BOB), null)
    })

    it('serves aliases where nobody can be deceived', () => {
      const { save, core } = registrar()
      const own = new RecordingFlow('tcp', '192.0.2.1')
      save({ contacts: ['<sip:a@192.0.2.1>'] }, own)
      assert.equal(core.location.flowFor('sip:a@192.0.2.1', 'sip:sales@example.com'), own)
      const browser = new RecordingFlow('ws', '203.0.113.4')
      save({ contacts: ['<sip:x@df7jal23.invalid;transport=ws>'], cseq: 2 }, browser)
      assert.equal(core.location.flowFor('sip:x@df7jal23.invalid;transport=ws'), browser)
    })

    it('shares one connection among the lines of one phone', () => {
      const { save, core } = registrar()
      const flow = new RecordingFlow('tcp')
      save({ contacts: ['<sip:phone@192.0.2.1>'] }, flow)
      save({ contacts: ['<sip:phone@192.0.2.1>'], aor: BOB }, flow)
      assert.equal(core.location.flowFor('sip:phone@192.0.2.1'), flow)
      save({ contacts: ['*'], expires: 0, cseq: 2 }, flow)
      assert.equal(core.location.flowFor('sip:phone@192.0.2.1'), flow)
    })
  })

  describe('listing', () => {
    it('gives every contact once, for any size of page', () => {
      const { save, core } = registrar()
      const all: string[] = []
      for (let i = 0; i < 20; i++) {
        const contacts = Array.from({ length: 1 + (i % 3) }, (_, n) => `sip:${i}-${n}@h`)
        all.push(...contacts)
        save({ aor: `sip:user${i}@example.com`, contacts })
      }
      for (const limit of [1, 2, 3, 7, 39, 40, 1000]) assert.deepEqual(listed(core, limit), all)
      assert.deepEqual(listed(registrar().core, 5), [])
      assert.equal(core.listing.page('nonsense', 1000).rows.length, all.length)
    })

    it('misses and repeats none that stays while others come and go', () => {
      const { save, core } = registrar()
      for (let i = 0; i < 300; i++)
        save({ aor: `sip:u${i}@example.com`, contacts: [`sip:u${i}@h`, `sip:v${i}@h`] })
      let gone = 0
      const uris = listed(core, 7, () => {
        for (let n = 0; n < 5; n++, gone += 2) {
          core.remove(`u${gone}@example.com`)
          save({ aor: `sip:new${gone}@example.com`, contacts: [`sip:new${gone}@h`] })
          save({ aor: 'sip:u299@example.com', contacts: ['sip:u299@h'], cseq: 2 + gone })
        }
      })
      assert.equal(new Set(uris).size, uris.length)
      for (let i = 1; i < 300; i += 2) {
        assert.ok(uris.includes(`sip:u${i}@h`) && uris.includes(`sip:v${i}@h`), `u${i}`)
      }
    })
  })

  describe('expiry', () => {
    it('needs one timer for any number of bindings, and is exact', () => {
      const { save, core, clock } = registrar()
      for (let i = 0; i < 50; i++) {
        save({ aor: `sip:u${i}@example.com`, contacts: [`sip:u${i}@h`], expires: 60 + ((i * 7) % 50) })
        assert.equal(clock.pendingTimers, 1)
      }
      for (let second = 60; second < 110; second++) {
        clock.advance(second * 1000 - clock.now() - 1)
        assert.equal(core.registrations, 110 - second)
        clock.advance(1)
        assert.equal(core.registrations, 109 - second)
      }
      assert.equal(clock.pendingTimers, 0)
    })

    it('lets calls pass between thousands that expire at once, and never shows one of them', () => {
      const lab = registrar()
      for (let i = 0; i < 2_500; i++) {
        lab.save({ aor: `sip:u${i}@example.com`, contacts: [`sip:u${i}@h`], expires: 60 })
      }
      lab.facts.length = 0
      lab.clock.advance(60_000)
      assert.equal(lab.facts.length, 1_000)
      assert.deepEqual(lab.core.location.lookup('sip:u2000@example.com'), [])
      assert.deepEqual(lab.core.listing.page(null, 10).rows, [])
      lab.clock.advance(2)
      assert.equal(lab.facts.length, 2_500)
      assert.equal(lab.clock.pendingTimers, 0)
    })

    it('follows a refresh', () => {
      const { save, core, clock } = registrar()
      save({ contacts: ['<sip:a@h>'], expires: 60 })
      clock.advance(59_000)
      save({ contacts: ['<sip:a@h>'], expires: 60, cseq: 2 })
      clock.advance(59_000)
      assert.equal(core.registrations, 1)
      clock.advance(1_000)
      assert.equal(core.registrations, 0)
    })
  })

  it('forgets all when closed', () => {
    const { save, core, clock, facts } = registrar()
    save({ contacts: ['<sip:a@h>'] })
    core.close()
    assert.deepEqual([core.registrations, core.contacts, clock.pendingTimers, facts.length], [0, 0, 0, 1])
  })
})
