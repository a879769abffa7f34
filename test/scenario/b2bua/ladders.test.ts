import { describe, it } from 'node:test'
import type { Response } from '../../../src/sip/message/message.ts'
import { sdp, type AgentCall } from '../../support/agent.ts'
import { b2buaLab, decision, dial, type B2buaLabOptions } from '../../support/b2bua-lab.ts'

/**
 * What crosses the network in each of the things that a B2BUA does, from the first message to the last. What the messages say
 * is asserted beside: offers.test.ts, basic.test.ts, transfers.test.ts, replaces.test.ts.
 */

type Room = ReturnType<typeof call>

/** alice calls bob; user agents answer at once what is not the flow's affair. */
function call(more: Partial<B2buaLabOptions> = {}, says: Parameters<AgentCall['agent']['call']>[1] = {}) {
  const room = b2buaLab({
    latencyMs: 10,
    script: {
      invite: (job) =>
        job.call?.replaces === true
          ? decision({ do: 'takeover' })
          : dial([/carol/.test(job.request.uri) ? 'carol' : 'bob'])(),
      refer: () => decision({ do: 'transfer', target: null, nextHop: null }),
    },
    ...more,
  })
  for (const agent of room.agents) {
    agent.onRequest = (request, of) => {
      if (/^(BYE|NOTIFY|INFO|MESSAGE|UPDATE|PRACK)$/.test(request.method)) {
        of?.answer(200, request.body === '' ? {} : { sdp: sdp('answer') }, request)
      } else if (request.method === 'INVITE' && request !== of?.invite) {
        of?.answer(200, { sdp: sdp('anew') }, request)
      }
    }
    agent.onResponse = (response, of) => {
      // The first INVITE's ACK is the flow's.
      if (response.cseq.method !== 'INVITE' || response.status >= 300 || response.status < 200) return
      if (response.cseq.number !== of.invite.cseq.number) of.ack({}, response)
    }
  }
  const a = room.alice.call('sip:bob@example.com', says)
  room.clock.advance(20)
  const [b] = room.bob.calls
  if (b === undefined) throw new Error('bob was not called')
  return { ...room, a, b }
}

/** … and they talk. What has crossed until then is not drawn. */
function talk(
  more: Partial<B2buaLabOptions> = {},
  says: Parameters<AgentCall['agent']['call']>[1] = {},
): Room {
  const room = call(more, says)
  room.b.answer(200, { sdp: sdp('bob') })
  room.clock.advance(20)
  room.a.ack()
  room.clock.advance(60)
  room.clearLadder()
  return room
}

/** alice hangs up at the end. */
function end({ a, clock }: Room): void {
  a.bye()
  clock.advance(20)
}

interface Flow {
  readonly name: string
  readonly run: () => Room
  readonly ladder: string
}

const flows: readonly Flow[] = [
  {
    name: 'an answer in a reliable 183, acknowledged end to end',
    run: () => {
      const room = call({}, { headers: { Supported: '100rel' } })
      const { alice, a, b, clock } = room
      b.reliably(183, { sdp: sdp('bob') })
      clock.advance(20)
      a.prack(alice.last('183 INVITE') as Response)
      clock.advance(40)
      b.answer(200)
      clock.advance(20)
      a.ack()
      clock.advance(20)
      end(room)
      return room
    },
    ladder: `
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       20  bob    → siphon  183 INVITE
       30  siphon → alice   183 INVITE
       40  alice  → siphon  PRACK
       50  siphon → alice   200 PRACK
       50  siphon → bob     PRACK
       60  bob    → siphon  200 PRACK
       80  bob    → siphon  200 INVITE
       90  siphon → bob     ACK
       90  siphon → alice   200 INVITE
      100  alice  → siphon  ACK
      120  alice  → siphon  BYE
      130  siphon → alice   200 BYE
      130  siphon → bob     BYE
      140  bob    → siphon  200 BYE`,
  },
  {
    name: 'a reliable 183 that only the callee knows, acknowledged per leg',
    run: () => {
      const room = call()
      const { a, b, clock } = room
      b.reliably(183, { sdp: sdp('bob') })
      clock.advance(40)
      b.answer(200)
      clock.advance(20)
      a.ack()
      clock.advance(20)
      end(room)
      return room
    },
    ladder: `
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       20  bob    → siphon  183 INVITE
       30  siphon → alice   183 INVITE
       30  siphon → bob     PRACK
       40  bob    → siphon  200 PRACK
       60  bob    → siphon  200 INVITE
       70  siphon → bob     ACK
       70  siphon → alice   200 INVITE
       80  alice  → siphon  ACK
      100  alice  → siphon  BYE
      110  siphon → alice   200 BYE
      110  siphon → bob     BYE
      120  bob    → siphon  200 BYE`,
  },
  {
    name: 'the offer in the 200, the answer in the ACK',
    run: () => {
      const room = call({}, { sdp: null })
      const { a, b, clock } = room
      b.answer(200, { sdp: sdp('bob') })
      clock.advance(20)
      a.ack({ sdp: sdp('alice') })
      clock.advance(20)
      end(room)
      return room
    },
    ladder: `
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      20  bob    → siphon  200 INVITE
      30  siphon → alice   200 INVITE
      40  alice  → siphon  ACK
      50  siphon → bob     ACK
      60  alice  → siphon  BYE
      70  siphon → alice   200 BYE
      70  siphon → bob     BYE
      80  bob    → siphon  200 BYE`,
  },
  {
    name: 'hold by re-INVITE, resume by UPDATE',
    run: () => {
      const room = talk()
      const { a, clock } = room
      a.within('INVITE', { sdp: sdp('hold') })
      clock.advance(80)
      a.within('UPDATE', { sdp: sdp('resume') })
      clock.advance(60)
      end(room)
      return room
    },
    ladder: `
      100  alice  → siphon  INVITE
      110  siphon → bob     INVITE
      120  bob    → siphon  200 INVITE
      130  siphon → bob     ACK
      130  siphon → alice   200 INVITE
      140  alice  → siphon  ACK
      180  alice  → siphon  UPDATE
      190  siphon → bob     UPDATE
      200  bob    → siphon  200 UPDATE
      210  siphon → alice   200 UPDATE
      240  alice  → siphon  BYE
      250  siphon → alice   200 BYE
      250  siphon → bob     BYE
      260  bob    → siphon  200 BYE`,
  },
  {
    name: 'glare: both change the session at once, both get 491, and one tries again',
    run: () => {
      const room = talk()
      const { bob, a, b, clock } = room
      const answers = bob.onRequest
      bob.onRequest = (request, of) => {
        if (request.method === 'INVITE') of?.answer(491, {}, request)
      }
      a.within('INVITE', { sdp: sdp('a') })
      b.within('INVITE', { sdp: sdp('b') })
      clock.advance(60)
      bob.onRequest = answers
      a.within('INVITE', { sdp: sdp('a') })
      clock.advance(60)
      end(room)
      return room
    },
    ladder: `
      100  alice  → siphon  INVITE
      100  bob    → siphon  INVITE
      110  siphon → bob     INVITE
      110  siphon → bob     491 INVITE
      120  bob    → siphon  491 INVITE
      120  bob    → siphon  ACK
      130  siphon → bob     ACK
      130  siphon → alice   491 INVITE
      140  alice  → siphon  ACK
      160  alice  → siphon  INVITE
      170  siphon → bob     INVITE
      180  bob    → siphon  200 INVITE
      190  siphon → bob     ACK
      190  siphon → alice   200 INVITE
      200  alice  → siphon  ACK
      220  alice  → siphon  BYE
      230  siphon → alice   200 BYE
      230  siphon → bob     BYE
      240  bob    → siphon  200 BYE`,
  },
  {
    name: 'a CANCEL before the callee has said anything',
    run: () => {
      const room = call()
      const { a, b, clock } = room
      clock.advance(20)
      a.cancel()
      clock.advance(20)
      b.answer(180)
      clock.advance(40)
      return room
    },
    ladder: `
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      40  alice  → siphon  CANCEL
      50  siphon → alice   200 CANCEL
      50  siphon → alice   487 INVITE
      60  alice  → siphon  ACK
      60  bob    → siphon  180 INVITE
      70  siphon → bob     CANCEL
      80  bob    → siphon  200 CANCEL
      80  bob    → siphon  487 INVITE
      90  siphon → bob     ACK`,
  },
  {
    name: 'a CANCEL that a 2xx races: it is acknowledged and hung up',
    run: () => {
      const room = call()
      const { a, b, clock } = room
      b.answer(180)
      clock.advance(20)
      a.cancel()
      clock.advance(5)
      b.answer(200, { sdp: sdp('bob') })
      clock.advance(60)
      return room
    },
    ladder: `
       0  alice  → siphon  INVITE
      10  siphon → alice   100 INVITE
      10  siphon → bob     INVITE
      20  bob    → siphon  180 INVITE
      30  siphon → alice   180 INVITE
      40  alice  → siphon  CANCEL
      45  bob    → siphon  200 INVITE
      50  siphon → alice   200 CANCEL
      50  siphon → alice   487 INVITE
      50  siphon → bob     CANCEL
      55  siphon → bob     ACK
      55  siphon → bob     BYE
      60  alice  → siphon  ACK
      60  bob    → siphon  200 CANCEL
      65  bob    → siphon  200 BYE`,
  },
  {
    name: 'BYE from both sides at once',
    run: () => {
      const room = talk()
      room.a.bye()
      room.b.bye()
      room.clock.advance(60)
      return room
    },
    ladder: `
      100  alice  → siphon  BYE
      100  bob    → siphon  BYE
      110  siphon → alice   200 BYE
      110  siphon → bob     BYE
      110  siphon → bob     200 BYE
      120  bob    → siphon  200 BYE`,
  },
  {
    name: 'a lost ACK: the 2xx comes again, on either leg',
    run: () => {
      const room = call()
      const { a, b, clock } = room
      const ok = b.answer(200, { sdp: sdp('bob') })
      clock.advance(480)
      b.agent.servers.get(b.invite)?.respond(ok)
      clock.advance(60)
      a.ack()
      clock.advance(20)
      end(room)
      return room
    },
    ladder: `
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       20  bob    → siphon  200 INVITE
       30  siphon → bob     ACK
       30  siphon → alice   200 INVITE
      500  bob    → siphon  200 INVITE
      510  siphon → bob     ACK
      530  siphon → alice   200 INVITE
      560  alice  → siphon  ACK
      580  alice  → siphon  BYE
      590  siphon → alice   200 BYE
      590  siphon → bob     BYE
      600  bob    → siphon  200 BYE`,
  },
  {
    name: 'session timers: 422 from the callee, and our refresh at half time',
    run: () => {
      const room = call({
        script: {
          invite: dial(['bob'], { timer: { expires: 90, minSe: 90, refresher: 'uac' } }),
        },
      })
      const { a, bob, b, clock } = room
      b.answer(422, { headers: { 'Min-SE': '120' } })
      clock.advance(40)
      const again = bob.calls.at(-1)
      again?.answer(200, {
        sdp: sdp('bob'),
        headers: { 'Session-Expires': '120;refresher=uac', Require: 'timer' },
      })
      clock.advance(20)
      a.ack()
      clock.advance(60_100)
      end(room)
      return room
    },
    ladder: `
          0  alice  → siphon  INVITE
         10  siphon → alice   100 INVITE
         10  siphon → bob     INVITE
         20  bob    → siphon  422 INVITE
         30  siphon → bob     ACK
         30  siphon → bob     INVITE
         60  bob    → siphon  200 INVITE
         70  siphon → bob     ACK
         70  siphon → alice   200 INVITE
         80  alice  → siphon  ACK
      45070  siphon → alice   UPDATE
      45080  alice  → siphon  200 UPDATE
      60070  siphon → bob     UPDATE
      60080  bob    → siphon  200 UPDATE
      60180  alice  → siphon  BYE
      60190  siphon → alice   200 BYE
      60190  siphon → bob     BYE
      60200  bob    → siphon  200 BYE`,
  },
  {
    name: 'a fork: a dialog for each branch, one answers, the other is cancelled',
    run: () => {
      const room = call({ script: { invite: dial(['bob', 'carol']) } })
      const { a, b, carol, clock } = room
      b.answer(180)
      carol.calls[0]?.answer(180)
      clock.advance(20)
      carol.calls[0]?.answer(200, { sdp: sdp('carol') })
      clock.advance(20)
      a.ack()
      clock.advance(40)
      end(room)
      return room
    },
    ladder: `
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       10  siphon → carol   INVITE
       20  bob    → siphon  180 INVITE
       20  carol  → siphon  180 INVITE
       30  siphon → alice   180 INVITE
       30  siphon → alice   180 INVITE
       40  carol  → siphon  200 INVITE
       50  siphon → carol   ACK
       50  siphon → alice   200 INVITE
       50  siphon → bob     CANCEL
       60  bob    → siphon  200 CANCEL
       60  bob    → siphon  487 INVITE
       60  alice  → siphon  ACK
       70  siphon → bob     ACK
      100  alice  → siphon  BYE
      110  siphon → alice   200 BYE
      110  siphon → carol   BYE
      120  carol  → siphon  200 BYE`,
  },
  {
    name: 'a hop that fails: the re-INVITE comes to nothing with 481, and the call is over',
    run: () => {
      const room = talk()
      const { a, bob, b, clock } = room
      bob.onRequest = () => undefined
      a.within('INVITE', { sdp: sdp('hold') })
      clock.advance(20)
      b.answer(481, {}, bob.lastRequest('INVITE'))
      clock.advance(60)
      return room
    },
    ladder: `
      100  alice  → siphon  INVITE
      110  siphon → bob     INVITE
      120  bob    → siphon  481 INVITE
      130  siphon → bob     ACK
      130  siphon → alice   481 INVITE
      130  siphon → alice   BYE
      140  alice  → siphon  ACK
      140  alice  → siphon  200 BYE`,
  },
  {
    name: 'INFO, MESSAGE and NOTIFY cross',
    run: () => {
      const room = talk()
      for (const method of ['INFO', 'MESSAGE', 'NOTIFY']) {
        room.a.within(method)
        room.clock.advance(40)
      }
      end(room)
      return room
    },
    ladder: `
      100  alice  → siphon  INFO
      110  siphon → bob     INFO
      120  bob    → siphon  200 INFO
      130  siphon → alice   200 INFO
      140  alice  → siphon  MESSAGE
      150  siphon → bob     MESSAGE
      160  bob    → siphon  200 MESSAGE
      170  siphon → alice   200 MESSAGE
      180  alice  → siphon  NOTIFY
      190  siphon → bob     NOTIFY
      200  bob    → siphon  200 NOTIFY
      210  siphon → alice   200 NOTIFY
      220  alice  → siphon  BYE
      230  siphon → alice   200 BYE
      230  siphon → bob     BYE
      240  bob    → siphon  200 BYE`,
  },
  {
    name: 'a blind transfer',
    run: () => {
      const room = talk()
      const { a, carol, clock } = room
      a.within('REFER', { headers: { 'Refer-To': '<sip:carol@192.0.2.3:5060>' } })
      clock.advance(40)
      carol.calls[0]?.answer(200, { sdp: sdp('carol') })
      clock.advance(120)
      carol.calls[0]?.bye()
      clock.advance(60)
      return room
    },
    ladder: `
      100  alice  → siphon  REFER
      110  siphon → alice   202 REFER
      110  siphon → alice   NOTIFY
      110  siphon → carol   INVITE
      120  alice  → siphon  200 NOTIFY
      140  carol  → siphon  200 INVITE
      150  siphon → bob     INVITE
      160  bob    → siphon  200 INVITE
      170  siphon → bob     ACK
      170  siphon → carol   ACK
      170  siphon → alice   NOTIFY
      180  alice  → siphon  200 NOTIFY
      190  siphon → alice   BYE
      200  alice  → siphon  200 BYE
      260  carol  → siphon  BYE
      270  siphon → carol   200 BYE
      270  siphon → bob     BYE
      280  bob    → siphon  200 BYE`,
  },
  {
    name: 'an attended transfer',
    run: () => {
      const room = talk()
      const { alice, a, carol, clock } = room
      const second = alice.call('sip:carol@example.com')
      clock.advance(20)
      carol.calls[0]?.answer(200, { sdp: sdp('carol') })
      clock.advance(20)
      second.ack()
      clock.advance(60)
      room.clearLadder()
      const to = `<sip:carol@192.0.2.3?Replaces=${encodeURIComponent(second.replaces)}>`
      a.within('REFER', { headers: { 'Refer-To': to } })
      clock.advance(200)
      carol.calls[0]?.bye()
      clock.advance(60)
      return room
    },
    ladder: `
      200  alice  → siphon  REFER
      210  siphon → alice   202 REFER
      210  siphon → alice   NOTIFY
      210  siphon → carol   INVITE
      220  alice  → siphon  200 NOTIFY
      220  carol  → siphon  200 INVITE
      230  siphon → bob     INVITE
      240  bob    → siphon  200 INVITE
      250  siphon → bob     ACK
      250  siphon → carol   ACK
      250  siphon → alice   BYE
      250  siphon → alice   NOTIFY
      260  alice  → siphon  200 BYE
      260  alice  → siphon  200 NOTIFY
      270  siphon → alice   BYE
      280  alice  → siphon  200 BYE
      400  carol  → siphon  BYE
      410  siphon → carol   200 BYE
      410  siphon → bob     BYE
      420  bob    → siphon  200 BYE`,
  },
  {
    name: 'an INVITE with Replaces from outside',
    run: () => {
      const room = talk()
      const { b, carol, clock } = room
      const { dialog } = b
      const Replaces = `${b.invite.callId};to-tag=${dialog?.remoteTag};from-tag=${dialog?.localTag}`
      const c = carol.call('sip:alice@example.com', { headers: { Replaces } })
      clock.advance(60)
      c.ack()
      clock.advance(20)
      c.bye()
      clock.advance(40)
      return room
    },
    ladder: `
      100  carol  → siphon  INVITE
      110  siphon → carol   100 INVITE
      110  siphon → alice   INVITE
      120  alice  → siphon  200 INVITE
      130  siphon → alice   ACK
      130  siphon → bob     BYE
      130  siphon → carol   200 INVITE
      140  bob    → siphon  200 BYE
      160  carol  → siphon  ACK
      180  carol  → siphon  BYE
      190  siphon → carol   200 BYE
      190  siphon → alice   BYE
      200  alice  → siphon  200 BYE`,
  },
  {
    name: 'a call pickup',
    run: () => {
      const room = call()
      const { a, b, carol, clock } = room
      b.answer(180)
      clock.advance(20)
      const { dialog } = b
      const Replaces = `${b.invite.callId};to-tag=${dialog?.remoteTag};from-tag=${dialog?.localTag}`
      const c = carol.call('sip:alice@example.com', { headers: { Replaces } })
      clock.advance(20)
      c.ack()
      a.ack()
      clock.advance(40)
      end(room)
      return room
    },
    ladder: `
        0  alice  → siphon  INVITE
       10  siphon → alice   100 INVITE
       10  siphon → bob     INVITE
       20  bob    → siphon  180 INVITE
       30  siphon → alice   180 INVITE
       40  carol  → siphon  INVITE
       50  siphon → carol   100 INVITE
       50  siphon → carol   200 INVITE
       50  siphon → alice   200 INVITE
       50  siphon → bob     CANCEL
       60  bob    → siphon  200 CANCEL
       60  bob    → siphon  487 INVITE
       60  carol  → siphon  ACK
       60  alice  → siphon  ACK
       70  siphon → bob     ACK
      100  alice  → siphon  BYE
      110  siphon → alice   200 BYE
      110  siphon → carol   BYE
      120  carol  → siphon  200 BYE`,
  },
]

describe('the ladder of', () => {
  for (const { name, run, ladder } of flows) {
    it(name, () => {
      const room = run()
      room.assertLadder(ladder)
      room.assertEmpty()
    })
  }
})
