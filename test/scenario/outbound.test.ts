import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Address } from '../../src/base/address.ts'
import { buildResponse } from '../../src/sip/message/build.ts'
import type { Message, Request, Response } from '../../src/sip/message/message.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import type { Flow } from '../../src/stack/transport.ts'
import { element, type ElementOptions, verdict } from '../support/element.ts'
import { lab, type Lab } from '../support/lab.ts'

const EDGE: Address = { host: '192.0.2.253', port: 5060 }
const INSTANCE = 'urn:uuid:00000000-0000-1000-8000-000A95A0E128'
const AOR = 'sip:alice@example.com'

/** A bare end of the network: says what it is told, answers as it is told, keeps what comes. */
function peer(
  room: Lab,
  name: string,
  address: Address,
  answer: (request: Request) => number | null = () => 200,
) {
  const got: Message[] = []
  let count = 0
  const transport = room.transport(name, address, (message: Message, flow: Flow) => {
    got.push(message)
    if (message.kind !== 'request' || message.method === 'ACK') return
    const status = answer(message)
    if (status !== null) flow.send(buildResponse(message, status, { toTag: `${name}-tag`, headers: contact }))
  })
  const contact: [string, string][] = [['Contact', `<sip:${name}@10.0.0.9:4444;ob>`]]
  return {
    got,
    requests: (method: string): Request[] =>
      got.filter((m): m is Request => m.kind === 'request' && m.method === method),
    last: (): Response => {
      const found = got.findLast((m): m is Response => m.kind === 'response')
      assert.ok(found)
      return found
    },
    send: (method: string, uri: string, to: Address, headers: readonly string[] = [], toTag = ''): void => {
      const n = ++count
      const callId = headers.find((h) => h.startsWith('Call-ID:')) ?? `Call-ID: ${name}-${method}`
      const text = [
        `${method} ${uri} SIP/2.0`,
        `Via: SIP/2.0/UDP 10.0.0.9:4444;rport;branch=z9hG4bK${name}${n}`,
        'Max-Forwards: 70',
        `From: <${AOR}>;tag=${name}`,
        `To: <${AOR}>${toTag}`,
        callId,
        `CSeq: ${n} ${method}`,
        ...headers.filter((h) => h !== callId),
        '',
        '',
      ].join('\r\n')
      const parsed = parseMessage(text)
      assert.ok(parsed.ok)
      transport.flowTo(to).send(parsed.message)
    },
  }
}

const register = (regId: number, more: readonly string[] = []): string[] => [
  `Contact: <sip:alice@10.0.0.9:4444;ob>;+sip.instance="<${INSTANCE}>";reg-id=${regId}`,
  `Call-ID: reg-${regId}`,
  'Supported: path, outbound, gruu',
  ...more,
]

/** Registers, forks to whom it finds, accepts subscriptions. */
const home: ElementOptions['script'] = ({ request }, registrar) => {
  if (request.method === 'REGISTER') return verdict({ do: 'save' })
  if (request.method === 'SUBSCRIBE') return verdict({ do: 'subscribe' })
  if (request.toTag !== undefined) return verdict({ do: 'relay', target: null })
  const found = registrar.location.lookup(request.uri)
  if (found.length === 0) {
    const code = registrar.location.statusOf(request.uri)
    return verdict({ do: 'reply', code, reason: null, headers: [], body: null, contentType: null })
  }
  const targets = found.map(({ uri }) => uri)
  const contacts = found.map(({ reference }) => reference)
  return verdict({ do: 'fork', targets, contacts, strategy: 'parallel' }, { recordRoute: true })
}

const edge: ElementOptions['script'] = ({ request }) =>
  request.method === 'REGISTER'
    ? verdict({ do: 'relay', target: 'sip:192.0.2.254:5060' }, { addPath: 'if supported' })
    : verdict({ do: 'relay', target: null }, { recordRoute: true })

function homeLab(options: Partial<ElementOptions> = {}) {
  const room = lab()
  const server = element(room, 'siphon', { address: room.server, script: home, ...options })
  const { clock } = room
  const phone = (name: string, host: string, answer?: (request: Request) => number | null) => {
    const made = peer(room, name, { host, port: 1024 }, answer)
    return {
      ...made,
      ask: (method: string, uri: string, headers: readonly string[] = [], toTag = ''): Response => {
        made.send(method, uri, room.server, headers, toTag)
        clock.advance(10)
        return made.last()
      },
    }
  }
  return { ...room, room, server, phone }
}

describe('outbound (RFC 5626)', () => {
  it('replaces the binding of a flow and keeps the others', () => {
    const { phone, server } = homeLab()
    const alice = phone('alice', '198.51.100.1')
    const response = alice.ask('REGISTER', 'sip:example.com', register(1))
    assert.equal(response.status, 200)
    assert.equal(response.headers.first('require'), 'outbound')
    assert.match(response.headers.first('contact') ?? '', /reg-id=1.*;expires=3600$/)
    const moved = register(1).map((h) => h.replace('4444', '4445').replace('reg-1', 'reg-1b'))
    alice.ask('REGISTER', 'sip:example.com', moved)
    alice.ask('REGISTER', 'sip:example.com', register(2))
    assert.deepEqual(
      server.registrar.location.lookup(AOR).map(({ uri, regId }) => [uri, regId]),
      [
        ['sip:alice@10.0.0.9:4444;ob', 2],
        ['sip:alice@10.0.0.9:4445;ob', 1],
      ],
    )
    assert.equal(alice.ask('REGISTER', 'sip:example.com', register(0)).status, 400)
    const two = [...register(4), `Contact: <sip:x@h>;+sip.instance="<${INSTANCE}>";reg-id=5`]
    assert.equal(alice.ask('REGISTER', 'sip:example.com', two).status, 400)
  })

  it('takes reg-id for nothing when the phone does not support outbound', () => {
    const { phone, server } = homeLab()
    const alice = phone('alice', '198.51.100.1')
    const plain = register(1).map((h) => h.replace('path, outbound, gruu', 'path'))
    assert.equal(alice.ask('REGISTER', 'sip:example.com', plain).headers.has('require'), false)
    assert.equal(server.registrar.location.lookup(AOR)[0]?.regId, null)
  })

  it('refuses with 439 when the first hop keeps no flow, 420 when the phone knows no Path', () => {
    const { phone } = homeLab()
    const alice = phone('alice', '198.51.100.1')
    const second = 'Via: SIP/2.0/UDP 10.0.0.9:9;branch=z9hG4bKx'
    assert.equal(alice.ask('REGISTER', 'sip:example.com', register(1, [second])).status, 439)
    const path = ['Path: <sip:proxy.example.net;lr>', second]
    assert.equal(alice.ask('REGISTER', 'sip:example.com', register(1, path)).status, 439)
    const ob = ['Path: <sip:far.example.net;lr>, <sip:proxy.example.net;lr;ob>', second]
    const good = alice.ask('REGISTER', 'sip:example.com', register(1, ob))
    assert.equal(good.status, 200)
    assert.deepEqual(good.headers.all('path'), ['<sip:far.example.net;lr>', '<sip:proxy.example.net;lr;ob>'])
    const unaware = alice.ask('REGISTER', 'sip:example.com', [
      'Contact: <sip:a@h>',
      'Path: <sip:p.example.net;lr>',
    ])
    assert.deepEqual([unaware.status, unaware.headers.first('unsupported')], [420, 'path'])
  })

  it('calls the newest flow, and the next one when that answers nothing; the device rings once', () => {
    const { phone, clock, assertLadder, clearLadder } = homeLab()
    const first = phone('first', '198.51.100.1')
    const second = phone('second', '198.51.100.2', () => null)
    const caller = phone('caller', '198.51.100.3')
    first.ask('REGISTER', 'sip:example.com', register(1))
    clock.advance(1_000)
    second.ask('REGISTER', 'sip:example.com', register(2))
    clearLadder()
    caller.send('MESSAGE', AOR, { host: '192.0.2.254', port: 5060 })
    clock.advance(31_000)
    assert.equal(first.requests('MESSAGE').length, 0)
    clock.advance(2_000)
    assert.equal(first.requests('MESSAGE').length, 1)
    // Timer F of the first flow is as long as the caller's own: an INVITE would have got the answer.
    clock.advance(40_000)
    clearLadder()
    caller.send('INVITE', AOR, { host: '192.0.2.254', port: 5060 }, ['Contact: <sip:c@198.51.100.3:1024>'])
    clock.advance(33_000)
    const [invite] = first.requests('INVITE')
    assert.ok(invite)
    assert.equal(invite.uri, 'sip:alice@10.0.0.9:4444;ob')
    assert.equal(caller.last().status, 200)
    // The dialog goes on over the flow, though nobody can reach 10.0.0.9.
    const route = caller.last().headers.first('record-route') ?? ''
    assert.match(route, /^<sip:ft\.[\w-]+@192\.0\.2\.254:5060;lr>$/)
    clearLadder()
    caller.send(
      'ACK',
      'sip:first@10.0.0.9:4444;ob',
      { host: '192.0.2.254', port: 5060 },
      [`Route: ${route}`],
      ';tag=first-tag',
    )
    clock.advance(10)
    assertLadder(`
      ${Math.round(clock.now()) - 10}  caller → siphon  ACK
      ${Math.round(clock.now()) - 10}  siphon → first   ACK`)
  })

  it('tries no other flow after the device has spoken', () => {
    const { phone, clock } = homeLab()
    const first = phone('first', '198.51.100.1')
    const second = phone('second', '198.51.100.2', (r) => (r.method === 'MESSAGE' ? 486 : 200))
    const caller = phone('caller', '198.51.100.3')
    first.ask('REGISTER', 'sip:example.com', register(1))
    clock.advance(10)
    second.ask('REGISTER', 'sip:example.com', register(2))
    assert.equal(caller.ask('MESSAGE', AOR).status, 486)
    assert.equal(first.requests('MESSAGE').length, 0)
  })

  it('goes on with 430, and tells the caller 480 when no flow is left', () => {
    const { phone, clock } = homeLab()
    const answers = { first: 200 }
    const first = phone('first', '198.51.100.1', (r) => (r.method === 'MESSAGE' ? answers.first : 200))
    const second = phone('second', '198.51.100.2', (r) => (r.method === 'MESSAGE' ? 430 : 200))
    const caller = phone('caller', '198.51.100.3')
    first.ask('REGISTER', 'sip:example.com', register(1))
    clock.advance(10)
    second.ask('REGISTER', 'sip:example.com', register(2))
    assert.equal(caller.ask('MESSAGE', AOR).status, 200)
    answers.first = 430
    assert.equal(caller.ask('MESSAGE', AOR).status, 480)
  })

  it('ends a flow that answers no OPTIONS, and leaves others alone', () => {
    const keepAlive = { method: 'options', intervalMs: 60_000, failureThreshold: 2 } as const
    const { phone, clock, server } = homeLab({ keepAlive })
    const good = phone('good', '198.51.100.1')
    const silent = phone('silent', '198.51.100.2', () => null)
    good.ask('REGISTER', 'sip:example.com', register(1))
    silent.ask('REGISTER', 'sip:example.com', register(2))
    assert.equal(server.pings?.size, 2)
    clock.advance(240_000)
    assert.deepEqual(
      server.registrar.location.lookup(AOR).map(({ regId }) => regId),
      [1],
    )
    assert.deepEqual(
      server.facts.filter(({ event }) => event === 'deregistered').map(({ reason }) => reason),
      ['no_answer'],
    )
    assert.ok(good.requests('OPTIONS').length >= 3)
    assert.equal(server.pings?.size, 1)
  })
})

describe('an edge proxy with Path (RFC 3327, RFC 5626 §5)', () => {
  function chain() {
    const room = homeLab()
    const proxy = element(room.room, 'edge', { address: EDGE, script: edge })
    const alice = peer(room.room, 'alice', { host: '198.51.100.1', port: 1024 })
    const register1 = (): void => {
      alice.send('REGISTER', 'sip:example.com', EDGE, register(1))
      room.clock.advance(10)
    }
    return { ...room, proxy, alice, register1 }
  }

  it('is in the way of calls to the phone, over its flow', () => {
    const { register1, alice, phone, clock, assertLadder, clearLadder, server } = chain()
    register1()
    assert.equal(alice.last().status, 200)
    assert.match(alice.last().headers.first('path') ?? '', /^<sip:ft\.[\w-]+@192\.0\.2\.253:5060;lr;ob>$/)
    assert.equal(server.registrar.location.lookup(AOR)[0]?.regId, 1)
    const caller = phone('caller', '198.51.100.3')
    clearLadder()
    const at = Math.round(clock.now())
    assert.equal(caller.ask('MESSAGE', AOR).status, 200)
    assertLadder(`
      ${at}  caller → siphon  MESSAGE
      ${at}  siphon → edge    MESSAGE
      ${at}  edge   → alice   MESSAGE
      ${at}  alice  → edge    200 MESSAGE
      ${at}  edge   → siphon  200 MESSAGE
      ${at}  siphon → caller  200 MESSAGE`)
    assert.equal(alice.requests('MESSAGE')[0]?.headers.has('route'), false)
  })

  it('answers 403 to a token that is not its own, 421 to a phone without Path', () => {
    const { alice, clock, phone } = chain()
    const other = phone('other', '198.51.100.9')
    const token = `ft.${Buffer.from('twelve bytesd 192.0.2.253:5060 10.9.9.9:5060').toString('base64url')}`
    alice.send('MESSAGE', 'sip:x@10.9.9.9', EDGE, [`Route: <sip:${token}@192.0.2.253;lr>`])
    clock.advance(10)
    assert.equal(alice.last().status, 403)
    alice.send('REGISTER', 'sip:example.com', EDGE, ['Contact: <sip:a@h>'])
    clock.advance(10)
    assert.deepEqual([alice.last().status, alice.last().headers.first('require')], [421, 'path'])
    assert.equal(other.got.length, 0)
  })
})

describe('GRUU (RFC 5627)', () => {
  it('names one device, for ever and for now', () => {
    const { phone, clock, server } = homeLab()
    const alice = phone('alice', '198.51.100.1')
    const desk = phone('desk', '198.51.100.2')
    const caller = phone('caller', '198.51.100.3')
    const contact = alice.ask('REGISTER', 'sip:example.com', register(1)).headers.first('contact') ?? ''
    desk.ask('REGISTER', 'sip:example.com', ['Contact: <sip:desk@198.51.100.2:1024>', 'Call-ID: desk'])
    const gruu = /;pub-gruu="([^"]+)"/.exec(contact)?.[1] ?? ''
    const temporary = /;temp-gruu="([^"]+)"/.exec(contact)?.[1] ?? ''
    assert.equal(gruu, `sip:alice@example.com;gr=${INSTANCE}`)
    assert.match(temporary, /^sip:tgruu\.[\w-]+@example\.com;gr$/)
    assert.doesNotMatch(temporary, /alice/)
    for (const uri of [gruu, temporary]) assert.equal(caller.ask('MESSAGE', uri).status, 200)
    assert.deepEqual([alice.requests('MESSAGE').length, desk.requests('MESSAGE').length], [2, 0])
    const never = gruu.replace('0A95', '0B95')
    assert.equal(caller.ask('MESSAGE', never).status, 404)
    assert.equal(caller.ask('MESSAGE', temporary.replace('tgruu.', 'tgruu.A')).status, 404)
    // A new Call-ID ends the temporary ones (§3.1.2), the end of the device both.
    alice.ask(
      'REGISTER',
      'sip:example.com',
      register(1).map((h) => h.replace('reg-1', 'again')),
    )
    assert.equal(caller.ask('MESSAGE', temporary).status, 404)
    assert.equal(caller.ask('MESSAGE', gruu).status, 200)
    clock.advance(3_600_000)
    assert.equal(server.registrar.location.lookup(AOR).length, 0)
    assert.equal(caller.ask('MESSAGE', gruu).status, 480)
  })
})

describe('a GRUU as remote target (RFC 5627 §5.4)', () => {
  it('leads the requests of a dialog, and the ACK of its INVITE, to the device over its flow', () => {
    const { phone, clock } = homeLab()
    const alice = phone('alice', '198.51.100.1')
    const caller = phone('caller', '198.51.100.3')
    const contact = alice.ask('REGISTER', 'sip:example.com', register(1)).headers.first('contact') ?? ''
    const gruu = /;pub-gruu="([^"]+)"/.exec(contact)?.[1] ?? ''
    const route = 'Route: <sip:192.0.2.254:5060;lr>'
    assert.equal(caller.ask('BYE', gruu, [route], ';tag=alice').status, 200)
    caller.send('ACK', gruu, { host: '192.0.2.254', port: 5060 }, [route], ';tag=alice')
    clock.advance(10)
    for (const method of ['BYE', 'ACK']) {
      const [got] = alice.requests(method)
      assert.equal(got?.uri, 'sip:alice@10.0.0.9:4444;ob', method)
      assert.equal(got?.headers.has('route'), false)
    }
    clock.advance(3_600_000)
    assert.equal(caller.ask('BYE', gruu, [route], ';tag=alice').status, 480)
  })
})

describe('subscriptions to registrations (RFC 3680)', () => {
  const subscribe = (expires: number): string[] => [
    'Event: reg',
    `Expires: ${expires}`,
    'Contact: <sip:watcher@198.51.100.3:1024>',
    'Call-ID: sub',
  ]

  it('tells all at once, then what changes, and ends in order', () => {
    const { phone, clock, server } = homeLab()
    const alice = phone('alice', '198.51.100.1')
    const watcher = phone('watcher', '198.51.100.3')
    const plain = ['Contact: <sip:alice@198.51.100.1:1024>', 'Call-ID: r']
    watcher.send('SUBSCRIBE', AOR, { host: '192.0.2.254', port: 5060 }, subscribe(600))
    clock.advance(10)
    const notes = (): Request[] => watcher.requests('NOTIFY')
    assert.deepEqual([watcher.last().status, watcher.last().headers.first('expires')], [200, '600'])
    assert.equal(notes()[0]?.headers.first('subscription-state'), 'active;expires=600')
    assert.match(notes()[0]?.body ?? '', /version="0" state="full"[^]*state="init"/)
    alice.ask('REGISTER', 'sip:example.com', plain)
    clock.advance(5_000)
    assert.match(
      notes()[1]?.body ?? '',
      /version="1" state="partial"[^]*state="active"[^]*event="registered"/,
    )
    clock.advance(5_000)
    assert.equal(server.registrar.remove(AOR), AOR)
    clock.advance(5_000)
    assert.match(
      notes()[2]?.body ?? '',
      /version="2" state="partial"[^]*state="terminated"[^]*event="deactivated"/,
    )
    // Refreshed and ended within the dialog, without the script.
    const tag = `;tag=${watcher.got.find((m) => m.kind === 'response')?.toTag}`
    watcher.send(
      'SUBSCRIBE',
      'sip:192.0.2.254:5060',
      { host: '192.0.2.254', port: 5060 },
      subscribe(900),
      tag,
    )
    clock.advance(10)
    assert.match(notes()[3]?.body ?? '', /version="3" state="full"/)
    watcher.send('SUBSCRIBE', 'sip:192.0.2.254:5060', { host: '192.0.2.254', port: 5060 }, subscribe(0), tag)
    clock.advance(10)
    assert.equal(notes()[4]?.headers.first('subscription-state'), 'terminated;reason=timeout')
    assert.deepEqual(
      notes().map(({ cseq }) => cseq.number),
      [1, 2, 3, 4, 5],
    )
    assert.equal(server.subscriptions.size, 0)
    watcher.send(
      'SUBSCRIBE',
      'sip:192.0.2.254:5060',
      { host: '192.0.2.254', port: 5060 },
      subscribe(900),
      tag,
    )
    clock.advance(10)
    assert.equal(watcher.last().status, 481)
  })

  it('expires, ends when nobody takes a NOTIFY, and is refused for what it cannot be', () => {
    const { phone, clock, server } = homeLab()
    const taking = { notify: 200 }
    const watcher = phone('watcher', '198.51.100.3', () => taking.notify)
    assert.equal(watcher.ask('SUBSCRIBE', AOR, ['Event: presence', 'Contact: <sip:w@h>']).status, 489)
    assert.equal(watcher.ask('SUBSCRIBE', AOR, ['Event: reg']).status, 400)
    assert.equal(
      watcher.ask('SUBSCRIBE', AOR, ['Event: reg', 'Expires: 5']).headers.first('min-expires'),
      '60',
    )
    watcher.ask('SUBSCRIBE', AOR, subscribe(60))
    clock.advance(60_000)
    assert.equal(
      watcher.requests('NOTIFY').at(-1)?.headers.first('subscription-state'),
      'terminated;reason=timeout',
    )
    assert.equal(server.subscriptions.size, 0)
    taking.notify = 481
    watcher.ask('SUBSCRIBE', AOR, subscribe(600))
    assert.equal(server.subscriptions.size, 0)
  })
})
