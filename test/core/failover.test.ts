import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fork, lab, relay, request } from './lab.ts'

const ALICE = '10.0.0.1'
const ONE = '10.0.0.21'
const TWO = '10.0.0.22'
const THREE = '10.0.0.23'

type Lab = ReturnType<typeof lab>

/** A proxy that knows three servers of gw.example, and what it says of its failovers. */
function room(): Lab & { reasons: string[] } {
  const l = lab()
  l.names.set('gw.example', [ONE, TWO, THREE])
  const reasons: string[] = []
  l.spine.hopFailedOver.subscribe(({ reason }) => reasons.push(reason))
  return { ...l, reasons }
}

function send(l: Lab, method = 'INVITE', callId = 'call-1'): void {
  l.script.request.push(relay('sip:gw.example'))
  l.receive(request(method, { callId, branch: `z9hG4bK-${callId}-${method}` }), ALICE)
  l.resolving.shift()?.()
}

const sentTo = (l: Lab, host: string, method: string): number =>
  l.ladder.filter((line) => line === `→ ${host} ${method}`).length

function end(l: Lab): void {
  l.clock.advance(200_000)
  assert.deepEqual(l.leftovers(), [])
}

describe('RFC 3263 §4.3: the next target of a hop gets the request', () => {
  it('at once when one cannot be reached: a new branch, the same request, one attempt', () => {
    const l = room()
    l.unreachable.add(ONE)
    send(l)
    assert.equal(l.clock.now(), 0)
    l.answer(TWO, 'INVITE', 200)
    assert.equal(l.lastResponse(ALICE).status, 200)
    assert.deepEqual(l.reasons, ['transport'])
    assert.deepEqual(
      l.decided.map(({ result }) => result),
      ['answered'],
    )
    assert.equal(l.records[0]?.destinationIp, TWO)
    end(l)
  })

  it('at once when one answers 503, which the caller does not see', () => {
    const l = room()
    send(l)
    const first = l.lastTo(ONE, 'INVITE')
    l.answer(ONE, 'INVITE', 503)
    const second = l.lastTo(TWO, 'INVITE')
    assert.notEqual(second.via?.params.get('branch'), first.via?.params.get('branch'))
    assert.equal(second.headers.count('via'), first.headers.count('via'))
    assert.equal(second.headers.first('max-forwards'), first.headers.first('max-forwards'))
    assert.equal(sentTo(l, ONE, 'ACK'), 1)
    l.answer(TWO, 'INVITE', 486)
    assert.equal(l.lastResponse(ALICE).status, 486)
    assert.deepEqual(l.reasons, ['503'])
    end(l)
  })

  it('never after another answer: a 486 or a 500 is the answer', () => {
    for (const status of [486, 500, 404, 603]) {
      const l = room()
      send(l)
      l.answer(ONE, 'INVITE', status)
      assert.equal(l.lastResponse(ALICE).status, status)
      assert.equal(sentTo(l, TWO, 'INVITE'), 0)
      end(l)
    }
  })

  it('after a second of silence, and not when a 100 has come', () => {
    const l = room()
    send(l)
    l.clock.advance(999)
    assert.equal(sentTo(l, TWO, 'INVITE'), 0)
    l.clock.advance(1)
    assert.equal(sentTo(l, TWO, 'INVITE'), 1)
    l.answer(TWO, 'INVITE', 100)
    l.clock.advance(20_000)
    assert.equal(sentTo(l, THREE, 'INVITE'), 0)
    l.answer(TWO, 'INVITE', 200)
    assert.equal(l.lastResponse(ALICE).status, 200)
    assert.deepEqual(l.reasons, ['timeout'])
    end(l)
  })

  it('after four seconds of silence when it is no INVITE, to which no 100 is owed', () => {
    const l = room()
    send(l, 'MESSAGE')
    l.clock.advance(3_999)
    assert.equal(sentTo(l, TWO, 'MESSAGE'), 0)
    l.clock.advance(1)
    assert.equal(sentTo(l, TWO, 'MESSAGE'), 1)
    l.answer(TWO, 'MESSAGE', 200)
    assert.equal(l.lastResponse(ALICE).status, 200)
    end(l)
  })

  it('until there is none: the last answer is the answer, of the last silence a 408', () => {
    const l = room()
    send(l)
    for (const host of [ONE, TWO]) l.answer(host, 'INVITE', 503)
    l.answer(THREE, 'INVITE', 503)
    // §16.7 step 6: not the caller's 503.
    assert.equal(l.lastResponse(ALICE).status, 500)
    end(l)
    const silent = room()
    send(silent)
    silent.clock.advance(2_000 + 32_000)
    assert.equal(silent.lastResponse(ALICE).status, 408)
    assert.deepEqual(silent.reasons, ['timeout', 'timeout'])
    end(silent)
  })

  it('no longer after a CANCEL, which goes to the one that has it', () => {
    const l = room()
    send(l)
    l.answer(ONE, 'INVITE', 503)
    l.answer(TWO, 'INVITE', 180)
    l.receive(request('CANCEL', { branch: 'z9hG4bK-call-1-INVITE' }), ALICE)
    assert.equal(sentTo(l, TWO, 'CANCEL'), 1)
    l.answer(TWO, 'CANCEL', 200)
    l.answer(TWO, 'INVITE', 503)
    assert.equal(sentTo(l, THREE, 'INVITE'), 0)
    end(l)
  })

  it('within one branch of a fork: the script is asked once, about what the last one answered', () => {
    const l = room()
    l.handled.add('failure')
    l.script.request.push(fork(['sip:b@gw.example']))
    l.receive(request('INVITE'), ALICE)
    l.resolving.shift()?.()
    l.answer(ONE, 'INVITE', 503)
    l.answer(TWO, 'INVITE', 486)
    assert.deepEqual(
      l.asked.filter(({ kind }) => kind === 'failure').map(({ response }) => response?.status),
      [486],
    )
    assert.equal(l.lastResponse(ALICE).status, 486)
    end(l)
  })

  it('first, when another one has failed a short time ago', () => {
    const l = room()
    send(l)
    l.answer(ONE, 'INVITE', 503, { headers: [['Retry-After', '60']] })
    l.answer(TWO, 'INVITE', 486)
    send(l, 'INVITE', 'call-2')
    assert.equal(sentTo(l, ONE, 'INVITE'), 1)
    assert.equal(sentTo(l, TWO, 'INVITE'), 2)
    l.answer(TWO, 'INVITE', 486)
    l.clock.advance(60_000)
    send(l, 'INVITE', 'call-3')
    assert.equal(sentTo(l, ONE, 'INVITE') > 1, true)
    l.answer(ONE, 'INVITE', 486)
    end(l)
  })
})

describe('a target that kept silent and speaks late', () => {
  it('is cancelled at its first word, which the caller does not hear', () => {
    const l = room()
    send(l)
    l.clock.advance(1_000)
    l.answer(TWO, 'INVITE', 100)
    l.answer(ONE, 'INVITE', 180)
    assert.equal(sentTo(l, ONE, 'CANCEL'), 1)
    assert.equal(l.lastResponse(ALICE).status, 100)
    l.answer(ONE, 'CANCEL', 200)
    l.answer(ONE, 'INVITE', 487)
    l.answer(TWO, 'INVITE', 200)
    assert.equal(l.lastResponse(ALICE).status, 200)
    assert.equal(l.decided.length, 1)
    end(l)
  })

  it('with a 2xx has the call: what is tried instead is cancelled', () => {
    const l = room()
    send(l)
    l.clock.advance(1_000)
    l.answer(TWO, 'INVITE', 180)
    l.answer(ONE, 'INVITE', 200)
    assert.equal(l.lastResponse(ALICE).status, 200)
    assert.equal(sentTo(l, TWO, 'CANCEL'), 1)
    l.answer(TWO, 'CANCEL', 200)
    l.answer(TWO, 'INVITE', 487)
    assert.equal(l.lastResponse(ALICE).status, 200)
    assert.deepEqual(
      l.decided.map(({ result }) => result),
      ['answered'],
    )
    end(l)
  })

  it('with a 2xx after that of another one: both go up (§16.7 step 5), as one attempt', () => {
    const l = room()
    send(l)
    l.clock.advance(1_000)
    l.answer(TWO, 'INVITE', 200)
    l.answer(ONE, 'INVITE', 200)
    assert.equal(l.ladder.filter((line) => line === `→ ${ALICE} 200`).length, 2)
    assert.equal(l.decided.length, 1)
    end(l)
  })

  it('with a refusal is not heard', () => {
    const l = room()
    send(l)
    l.clock.advance(1_000)
    l.answer(ONE, 'INVITE', 486)
    assert.equal(l.lastResponse(ALICE).status, 100)
    l.answer(TWO, 'INVITE', 200)
    assert.equal(l.lastResponse(ALICE).status, 200)
    end(l)
  })

  it('about another request is believed when it is the first to answer, and never twice', () => {
    const l = room()
    send(l, 'MESSAGE')
    l.clock.advance(4_000)
    l.answer(ONE, 'MESSAGE', 202)
    assert.equal(l.lastResponse(ALICE).status, 202)
    l.answer(TWO, 'MESSAGE', 404)
    assert.equal(l.lastResponse(ALICE).status, 202)
    end(l)
  })
})

describe('RFC 5393 §5 Max-Breadth', () => {
  const breadth = (l: Lab, host: string): string | undefined =>
    l.lastTo(host, 'INVITE').headers.first('max-breadth')

  it('is 60 on a request that has none, and goes on as it came without a fork', () => {
    const l = lab()
    l.script.request.push(relay(`sip:${ONE}`))
    l.receive(request('INVITE'), ALICE)
    assert.equal(breadth(l, ONE), '60')
    l.script.request.push(relay(`sip:${TWO}`))
    const headers = ['Max-Forwards: 70', 'Max-Breadth: 5']
    l.receive(request('INVITE', { callId: 'c2', branch: 'z9hG4bK2', headers }), ALICE)
    assert.equal(breadth(l, TWO), '5')
  })

  const forked = (strategy: 'parallel' | 'sequential', value: string): Lab => {
    const l = lab()
    l.script.request.push(
      fork(
        [ONE, TWO, THREE].map((host) => `sip:b@${host}`),
        strategy,
      ),
    )
    l.receive(request('INVITE', { headers: ['Max-Forwards: 70', `Max-Breadth: ${value}`] }), ALICE)
    return l
  }

  it('is shared by the branches of a fork', () => {
    const l = forked('parallel', '8')
    assert.deepEqual(
      [ONE, TWO, THREE].map((host) => breadth(l, host)),
      ['3', '3', '2'],
    )
  })

  it('is there for each of those that are tried one after another', () => {
    const l = forked('sequential', '1')
    assert.equal(breadth(l, ONE), '1')
    l.answer(ONE, 'INVITE', 486)
    assert.equal(breadth(l, TWO), '1')
  })

  it('that does not suffice is 440, and nothing is sent', () => {
    for (const l of [forked('parallel', '2'), forked('sequential', '0')]) {
      assert.equal(l.lastResponse(ALICE).status, 440)
      assert.equal(sentTo(l, ONE, 'INVITE'), 0)
    }
  })
})
