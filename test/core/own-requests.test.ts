import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestHash } from '../../src/base/digest-hash.ts'
import { OwnRequests, type OwnRequest, type OwnRequestResult } from '../../src/core/own-requests.ts'
import { DigestClient } from '../../src/sip/auth/digest-client.ts'
import { buildResponse, type ResponseOptions } from '../../src/sip/message/build.ts'
import type { Request } from '../../src/sip/message/message.ts'
import { createSpine } from '../../src/spine/spine.ts'
import type { ClientTransaction, ClientUser } from '../../src/stack/transaction-layer.ts'
import type { Target } from '../../src/stack/transport.ts'
import { countingIdentifiers } from '../support/counting-identifiers.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { tableOfHops } from '../support/next-hops.ts'

const OPTIONS: OwnRequest = {
  purpose: 'script',
  method: 'OPTIONS',
  uri: 'sip:gw.example',
  nextHop: null,
  fromUser: 'siphon',
  headers: [],
  body: '',
  contentType: null,
  timeoutMs: 2_000,
}

/** Nothing asks it for anything. */
const TRANSACTION = {} as unknown as ClientTransaction

function room() {
  const clock = new FakeClock()
  const spine = createSpine((_channel, error) => {
    throw error
  })
  const outcomes: string[] = []
  spine.ownRequestEnded.subscribe(({ purpose, outcome }) => outcomes.push(`${purpose} ${outcome}`))
  const sent: { request: Request; target: Target; user: ClientUser }[] = []
  const requests = new OwnRequests({
    clock,
    identifiers: countingIdentifiers(),
    spine,
    transport: {
      reach: () => undefined,
      responseFlow: () => undefined,
      sentBy: () => ({ host: '192.0.2.1', port: 5060 }),
    },
    layer: () => ({
      request: (request: Request, target: Target, user: ClientUser) => {
        sent.push({ request, target, user })
        return TRANSACTION
      },
    }),
    resolver: tableOfHops(
      (name) => (name === 'gw.example' ? ['10.0.0.21', '10.0.0.22'] : []),
      (answer) => answer(),
    ),
    userAgent: 'SIPhon/test',
  })
  const results: OwnRequestResult[] = []
  const send = (more: Partial<OwnRequest> = {}): void =>
    requests.send({ ...OPTIONS, ...more }, (result) => results.push(result))
  const last = () => {
    const found = sent.at(-1)
    if (found === undefined) throw new Error('nothing was sent')
    return found
  }
  const answer = (status: number, more: ResponseOptions = {}): void => {
    const { request, user } = last()
    user.onResponse(buildResponse(request, status, { toTag: 'gw', ...more }), TRANSACTION)
  }
  return { clock, outcomes, sent, requests, results, send, last, answer }
}

describe('a request of our own', () => {
  it('has all that RFC 3261 §8.1.1 asks for, and goes where its URI leads', () => {
    const r = room()
    r.send()
    const { request, target } = r.last()
    assert.equal(target.host, '10.0.0.21')
    assert.equal(request.uri, 'sip:gw.example')
    assert.match(
      request.headers.first('via') ?? '',
      /^SIP\/2\.0\/UDP 192\.0\.2\.1:5060;branch=z9hG4bK.+;rport$/,
    )
    assert.match(request.headers.first('from') ?? '', /^<sip:siphon@192\.0\.2\.1:5060>;tag=.+$/)
    assert.equal(request.headers.first('to'), '<sip:gw.example>')
    assert.equal(request.headers.first('max-forwards'), '70')
    assert.equal(request.headers.first('contact'), '<sip:siphon@192.0.2.1:5060>')
    assert.deepEqual(request.cseq, { number: 1, method: 'OPTIONS' })
    r.answer(100)
    assert.equal(r.results.length, 0)
    r.answer(486)
    assert.equal(r.results[0]?.ok && r.results[0].response.status, 486)
    assert.deepEqual(r.outcomes, ['script answered'])
    assert.deepEqual([r.requests.pending, r.clock.pendingTimers], [0, 0])
  })

  it('takes fields of its sender, with a tag of ours', () => {
    const r = room()
    r.send({
      method: 'MESSAGE',
      headers: [
        ['From', '<sip:me@example.com>'],
        ['X-A', '1'],
        ['X-A', '2'],
      ],
      body: 'hi',
      contentType: 'text/plain',
      nextHop: 'sip:10.0.0.9:5070',
    })
    const { request, target } = r.last()
    assert.deepEqual([target.host, target.port], ['10.0.0.9', 5070])
    assert.match(request.headers.first('from') ?? '', /^<sip:me@example\.com>;tag=.+$/)
    assert.deepEqual(request.headers.all('x-a'), ['1', '2'])
    assert.equal(request.headers.first('content-type'), 'text/plain')
    assert.equal(request.headers.has('contact'), false)
  })

  it('tries the next address when one cannot be reached, with a branch of its own', () => {
    const r = room()
    r.send()
    const first = r.last()
    first.user.onEnd('transport', TRANSACTION)
    assert.equal(r.last().target.host, '10.0.0.22')
    assert.notEqual(r.last().request.via?.params.get('branch'), first.request.via?.params.get('branch'))
    r.last().user.onEnd('transport', TRANSACTION)
    assert.equal(r.sent.length, 2)
    assert.deepEqual(r.outcomes, ['script unreachable'])
  })

  it('ends at its time limit, and what comes later is nothing', () => {
    const r = room()
    r.send()
    r.clock.advance(2_000)
    assert.equal(r.results[0]?.ok === false && r.results[0].failure, 'timeout')
    r.answer(200)
    r.last().user.onEnd('transport', TRANSACTION)
    assert.deepEqual([r.results.length, r.sent.length, r.outcomes.length], [1, 1, 1])
  })

  it('is unreachable when its name leads nowhere', () => {
    const r = room()
    r.send({ uri: 'sip:nowhere.example' })
    assert.deepEqual(r.outcomes, ['script unreachable'])
  })

  it('answers a challenge once, with the next CSeq and another branch', () => {
    const r = room()
    const client = new DigestClient({
      account: { user: 'me', secret: { password: 'secret' }, realm: null },
      hash: digestHash,
      chance: () => '0123456789abcdef',
    })
    const authenticate: OwnRequest['authenticate'] = (challenge, request, tries) =>
      client.retry(challenge, request, tries)
    r.send({ authenticate })
    const challenge: ResponseOptions = {
      headers: [['WWW-Authenticate', 'Digest realm="gw", nonce="n1", algorithm=SHA-256, qop="auth"']],
    }
    const first = r.last().request
    r.answer(401, challenge)
    const second = r.last().request
    assert.match(second.headers.first('authorization') ?? '', /^Digest .*username="me".*algorithm=SHA-256/)
    assert.equal(second.cseq.number, 2)
    assert.equal(second.headers.count('via'), 1)
    assert.notEqual(second.via?.params.get('branch'), first.via?.params.get('branch'))
    r.answer(401, challenge)
    assert.equal(r.sent.length, 2)
    assert.equal(r.results[0]?.ok && r.results[0].response.status, 401)
  })

  it('is not sent when 10,000 are under way', () => {
    const r = room()
    for (let i = 0; i < 10_000; i++) r.send()
    assert.throws(() => r.send(), RangeError)
    r.clock.advance(2_000)
    assert.equal(r.requests.pending, 0)
    r.send()
  })
})
