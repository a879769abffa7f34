import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Binding,
  contactFields,
  register,
  type RegisterResult,
  type RegistrarRules,
} from '../../../src/sip/registrar/bindings.ts'
import { registerRequest, type RegisterOptions } from '../../support/requests.ts'

const rules: RegistrarRules = { defaultExpires: 3600, minExpires: 60, maxExpires: 7200, maxContacts: 3 }

/** One address-of-record: each REGISTER works on what the one before left. */
function registrar(given: Partial<RegistrarRules> = {}) {
  let bindings: readonly Binding<string>[] = []
  let lastId = 0
  return {
    now: 0,
    get listed(): string[] {
      return contactFields(bindings, this.now).map(([, value]) => value)
    },
    get ids(): number[] {
      return bindings.map(({ id }) => id)
    },
    register(options: RegisterOptions): RegisterResult<string> {
      const result = register(registerRequest(options), bindings, {
        rules: { ...rules, ...given },
        now: this.now,
        source: 'here',
        nextId: () => ++lastId,
        keep: (text) => text,
      })
      if (result.ok) bindings = result.bindings
      return result
    },
  }
}

function events(result: RegisterResult<string>): string[] {
  assert.ok(result.ok)
  return result.changes.map(({ event, binding }) => `${event} ${binding.uri}`)
}

function status(result: RegisterResult<string>): number {
  return result.ok ? 200 : result.status
}

describe('RFC 3261 §10.3 bindings', () => {
  it('adds, refreshes and lists every contact with the seconds left', () => {
    const alice = registrar()
    assert.deepEqual(events(alice.register({ contacts: ['<sip:a@192.0.2.1>'], expires: 600 })), [
      'registered sip:a@192.0.2.1',
    ])
    alice.now = 100_500
    alice.register({
      contacts: ['<sip:b@192.0.2.1>;q=0.5;+sip.instance="<urn:uuid:1>";audio'],
      callId: 'two',
    })
    assert.deepEqual(alice.listed, [
      '<sip:a@192.0.2.1>;expires=500',
      '<sip:b@192.0.2.1>;q=0.5;+sip.instance="<urn:uuid:1>";audio;expires=3600',
    ])
    const again = alice.register({ contacts: ['<sip:a@192.0.2.1>'], expires: 600, cseq: 2 })
    assert.deepEqual(events(again), ['refreshed sip:a@192.0.2.1'])
    assert.deepEqual(alice.ids, [1, 2])
  })

  it('changes nothing without a Contact', () => {
    const alice = registrar()
    alice.register({ contacts: ['sip:a@192.0.2.1'] })
    assert.deepEqual(events(alice.register({ cseq: 0 })), [])
    assert.equal(alice.listed.length, 1)
  })

  it('compares contacts by §19.1.4, other URIs by their text', () => {
    const alice = registrar()
    alice.register({ contacts: ['<sip:%61@Example.NET;transport=TCP>', 'tel:+1', 'mailto:a@example.net'] })
    const again = alice.register({
      contacts: ['<sip:a@example.net;transport=tcp>', '<tel:+1>'],
      cseq: 2,
    })
    assert.deepEqual(events(again), ['refreshed sip:a@example.net;transport=tcp', 'refreshed tel:+1'])
    assert.equal(alice.listed.length, 3)
  })

  describe('expiry', () => {
    const cases: [string, string, number | string | undefined, number][] = [
      ['takes the contact’s before the field’s', '<sip:a@h>;expires=120', 300, 120],
      ['takes the field’s before the default', '<sip:a@h>', 300, 300],
      ['takes the default', '<sip:a@h>', undefined, 3600],
      ['cuts what is too long', '<sip:a@h>;expires=99999', undefined, 7200],
      ['cuts what no number can hold', `<sip:a@h>;expires=${'9'.repeat(400)}`, undefined, 7200],
      ['reads nonsense as an hour (§20.19)', '<sip:a@h>;expires=soon', 300, 3600],
      ['reads a negative field as an hour', '<sip:a@h>', -5, 3600],
    ]
    for (const [name, contact, expires, seconds] of cases) {
      it(name, () => {
        const alice = registrar()
        alice.register({ contacts: [contact], ...(expires === undefined ? {} : { expires }) })
        assert.deepEqual(alice.listed, [`<sip:a@h>;expires=${seconds}`])
      })
    }

    it('refuses an interval too brief with 423 and Min-Expires', () => {
      const alice = registrar()
      const result = alice.register({ contacts: ['<sip:a@h>'], expires: 59 })
      assert.deepEqual(result, { ok: false, status: 423, reason: null, headers: [['Min-Expires', '60']] })
      assert.equal(status(alice.register({ contacts: ['<sip:a@h>'], expires: 60 })), 200)
    })

    it('never calls an hour too brief', () => {
      const alice = registrar({ minExpires: 7200 })
      assert.equal(status(alice.register({ contacts: ['<sip:a@h>'], expires: 3599 })), 423)
      assert.equal(status(alice.register({ contacts: ['<sip:a@h>'], expires: 3600 })), 200)
    })

    it('removes at expires=0, and minds no contact that is not there', () => {
      const alice = registrar()
      alice.register({ contacts: ['<sip:a@h>', '<sip:b@h>'] })
      const result = alice.register({ contacts: ['<sip:a@h>;expires=0', '<sip:c@h>;expires=0'], cseq: 2 })
      assert.deepEqual(events(result), ['deregistered sip:a@h'])
      assert.deepEqual(alice.listed, ['<sip:b@h>;expires=3600'])
    })
  })

  describe("'*'", () => {
    it('removes all with Expires: 0', () => {
      const alice = registrar()
      alice.register({ contacts: ['<sip:a@h>', '<sip:b@h>'] })
      const result = alice.register({ contacts: ['*'], expires: 0, cseq: 2 })
      assert.deepEqual(events(result), ['deregistered sip:a@h', 'deregistered sip:b@h'])
      assert.deepEqual(alice.listed, [])
    })

    it('is refused with another Expires, without one, and beside another Contact', () => {
      const alice = registrar()
      alice.register({ contacts: ['<sip:a@h>'] })
      for (const options of [
        { contacts: ['*'], expires: 60 },
        { contacts: ['*'] },
        { contacts: ['*', '<sip:b@h>'], expires: 0 },
        { contacts: ['*', '*'], expires: 0 },
      ]) {
        assert.equal(status(alice.register({ ...options, cseq: 2 })), 400)
      }
      assert.equal(alice.listed.length, 1)
    })

    it('is refused when it is older than a binding', () => {
      const alice = registrar()
      alice.register({ contacts: ['<sip:a@h>'], cseq: 5 })
      assert.equal(status(alice.register({ contacts: ['*'], expires: 0, cseq: 5 })), 500)
      assert.equal(alice.listed.length, 1)
      assert.equal(status(alice.register({ contacts: ['*'], expires: 0, cseq: 1, callId: 'other' })), 200)
    })
  })

  describe('order', () => {
    it('refuses a CSeq that is not higher within a Call-ID', () => {
      const alice = registrar()
      alice.register({ contacts: ['<sip:a@h>'], cseq: 5 })
      assert.equal(status(alice.register({ contacts: ['<sip:a@h>'], cseq: 5 })), 500)
      assert.equal(status(alice.register({ contacts: ['<sip:a@h>;expires=0'], cseq: 4 })), 500)
      assert.equal(status(alice.register({ contacts: ['<sip:a@h>'], cseq: 6 })), 200)
      assert.equal(status(alice.register({ contacts: ['<sip:a@h>'], cseq: 1, callId: 'restarted' })), 200)
    })

    it('takes the last of equal contacts in one REGISTER', () => {
      const alice = registrar()
      const first = alice.register({ contacts: ['<sip:a@h>;expires=100', '<sip:a@h>;expires=200'] })
      assert.deepEqual(events(first), ['registered sip:a@h'])
      assert.deepEqual(alice.listed, ['<sip:a@h>;expires=200'])
      const second = alice.register({
        contacts: ['<sip:a@h>;expires=300', '<sip:a@h>;expires=0', '<sip:b@h>', '<sip:b@h>;expires=0'],
        cseq: 2,
      })
      assert.deepEqual(events(second), ['deregistered sip:a@h'])
      assert.deepEqual(alice.listed, [])
    })
  })

  describe('whole or not at all', () => {
    for (const [name, last, expected] of [
      ['an interval too brief', '<sip:c@h>;expires=5', 423],
      ['a bad q', '<sip:c@h>;q=1.5', 400],
      ['a bad URI', '<sip:c@@h>', 400],
      ['an empty list element', '<sip:c@h>,', 400],
      ['one contact too many', '<sip:c@h>, <sip:d@h>, <sip:e@h>', 403],
    ] as const) {
      it(`${name} leaves everything as it was`, () => {
        const alice = registrar()
        alice.register({ contacts: ['<sip:a@h>'] })
        const before = alice.listed
        const result = alice.register({ contacts: ['<sip:b@h>, <sip:a@h>;expires=0', last], cseq: 2 })
        assert.equal(status(result), expected)
        assert.deepEqual(alice.listed, before)
      })
    }
  })

  it('counts contacts after the removals of the same REGISTER', () => {
    const alice = registrar()
    alice.register({ contacts: ['<sip:a@h>', '<sip:b@h>', '<sip:c@h>'] })
    assert.equal(status(alice.register({ contacts: ['<sip:d@h>'], cseq: 2 })), 403)
    assert.equal(status(alice.register({ contacts: ['<sip:d@h>', '<sip:a@h>;expires=0'], cseq: 3 })), 200)
    assert.equal(status(alice.register({ contacts: ['<sip:b@h>'], cseq: 4 })), 200)
  })
})
