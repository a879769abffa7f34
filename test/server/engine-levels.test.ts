import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EngineTables, mayPause } from '../../src/server/engine-levels.ts'

/** Only what `mayPause` looks at. */
function engine(has: Partial<Record<'calls' | 'dialogs' | 'b2bua' | 'running' | 'waiting', number>> = {}) {
  const transactions = { 'invite-server': 0, 'non-invite-client': 0 }
  const registrar = { contacts: 0 }
  const tables = {
    calls: { active: has.calls ?? 0 },
    dialogs: { size: has.dialogs ?? 0 },
    b2bua: { busy: has.b2bua ?? 0 },
    host: { inflight: has.running ?? 0, queued: has.waiting ?? 0 },
    transactions: { counts: transactions },
    registrar,
  } as unknown as EngineTables
  return { tables, transactions, registrar }
}

describe('an engine may stand still for a collection', () => {
  it('when nothing goes on', () => {
    assert.equal(mayPause(engine().tables), true)
    for (const what of ['calls', 'dialogs', 'b2bua', 'running', 'waiting'] as const) {
      assert.equal(mayPause(engine({ [what]: 1 }).tables), false, what)
    }
  })

  it('and has not for half a minute: transactions of a burst linger until then', () => {
    const { tables, transactions } = engine()
    transactions['invite-server'] = 600
    transactions['non-invite-client'] = 400
    assert.equal(mayPause(tables), true)
    transactions['non-invite-client']++
    assert.equal(mayPause(tables), false)
  })

  it('and has not too many contacts to go through', () => {
    const { tables, registrar } = engine()
    registrar.contacts = 20_000
    assert.equal(mayPause(tables), true)
    registrar.contacts++
    assert.equal(mayPause(tables), false)
  })
})
