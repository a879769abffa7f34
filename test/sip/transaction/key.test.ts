import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inviteServerKey, isAckOf, nonInviteServerKey, topBranch } from '../../../src/sip/transaction/key.ts'
import { createTimers } from '../../../src/sip/transaction/timers.ts'
import { aRequest, anAnswer } from './messages.ts'

const via = (host: string, branch: string): { via: string } => ({
  via: `SIP/2.0/UDP ${host};branch=${branch}`,
})

describe('RFC 3261 §17.1.3 matching responses', () => {
  it('goes by the branch of the topmost Via', () => {
    assert.equal(topBranch(anAnswer(aRequest('INVITE', { branch: 'z9hG4bK77' }), 200)), 'z9hG4bK77')
    assert.equal(topBranch(aRequest('INVITE', { via: 'SIP/2.0/UDP old.example' })), undefined)
  })
})

describe('RFC 3261 §17.2.3 matching requests', () => {
  const invite = aRequest('INVITE', via('a.example:5070', 'z9hG4bKx'))

  it('is one key for an INVITE, its ACK and its CANCEL', () => {
    const { via: sameVia } = via('a.example:5070', 'z9hG4bKx')
    for (const method of ['INVITE', 'ACK', 'CANCEL']) {
      assert.equal(inviteServerKey(aRequest(method, { via: sameVia, toTag: 'any' })), inviteServerKey(invite))
    }
  })

  it('tells branches, hosts and ports of sent-by apart, and does not mind the case of a host', () => {
    const key = inviteServerKey(invite)
    assert.equal(inviteServerKey(aRequest('INVITE', via('A.Example:5070', 'z9hG4bKx'))), key)
    for (const other of [
      via('a.example:5070', 'z9hG4bKy'),
      via('b.example:5070', 'z9hG4bKx'),
      via('a.example', 'z9hG4bKx'),
    ]) {
      assert.notEqual(inviteServerKey(aRequest('INVITE', other)), key)
    }
  })

  it('tells a CANCEL from the request it cancels', () => {
    assert.notEqual(nonInviteServerKey(aRequest('CANCEL')), nonInviteServerKey(aRequest('OPTIONS')))
  })

  it('goes by the branch alone when it has the cookie: a loop or a spiral is a new transaction', () => {
    const one = inviteServerKey(aRequest('INVITE', { branch: 'z9hG4bK1' }))
    assert.equal(inviteServerKey(aRequest('INVITE', { branch: 'z9hG4bK1', callId: 'other', cseq: 7 })), one)
    assert.notEqual(inviteServerKey(aRequest('INVITE', { branch: 'z9hG4bK2' })), one)
  })

  it('without the cookie compares Via, Call-ID, CSeq, From tag and Request-URI', () => {
    for (const oldVia of ['SIP/2.0/UDP old.example', 'SIP/2.0/UDP old.example;branch=1']) {
      const key = inviteServerKey(aRequest('INVITE', { via: oldVia }))
      assert.equal(inviteServerKey(aRequest('INVITE', { via: oldVia })), key)
      assert.equal(inviteServerKey(aRequest('ACK', { via: oldVia, toTag: 'bob' })), key)
      for (const other of [
        { callId: 'other' },
        { cseq: 2 },
        { fromTag: 'other' },
        { uri: 'sip:carol@biloxi.example' },
        { via: 'SIP/2.0/UDP new.example' },
      ]) {
        assert.notEqual(inviteServerKey(aRequest('INVITE', { via: oldVia, ...other })), key)
      }
    }
  })

  it('without the cookie an ACK must have the To tag of our response', () => {
    const old = aRequest('INVITE', { via: 'SIP/2.0/UDP old.example' })
    const busy = anAnswer(old, 486, 'mine')
    assert.equal(isAckOf(aRequest('ACK', { via: 'SIP/2.0/UDP old.example', toTag: 'mine' }), busy), true)
    assert.equal(isAckOf(aRequest('ACK', { via: 'SIP/2.0/UDP old.example', toTag: 'other' }), busy), false)
    assert.equal(isAckOf(aRequest('ACK', { toTag: 'other' }), busy), true)
  })
})

describe('RFC 3261 Table 4', () => {
  it('has the default intervals', () => {
    assert.deepEqual(createTimers(), {
      t1: 500,
      t2: 4000,
      t4: 5000,
      life: 32_000,
      d: 32_000,
      inviteTrying: 200,
      nonInviteTrying: 3500,
    })
  })

  it('derives all from T1 and T2, timer D never under 32 s', () => {
    const { life, d, nonInviteTrying } = createTimers({ t1: 100, t2: 400 })
    assert.deepEqual({ life, d, nonInviteTrying }, { life: 6400, d: 32_000, nonInviteTrying: 300 })
    assert.equal(createTimers({ t1: 1000 }).d, 64_000)
    assert.equal(createTimers({ t1: 4000, t2: 4000 }).nonInviteTrying, 4000)
  })
})
