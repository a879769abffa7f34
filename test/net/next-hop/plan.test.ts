import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Hop } from '../../../src/base/next-hop.ts'
import { type Answer, type DnsRecord, FAILED, NONE, type Question } from '../../../src/net/dns/records.ts'
import { type Policy, stepTo } from '../../../src/net/next-hop/plan.ts'

type Zone = Readonly<Record<string, readonly DnsRecord[] | 'fails'>>

const a = (...addresses: string[]): DnsRecord[] => addresses.map((address) => ({ type: 'A', address }))
const aaaa = (...addresses: string[]): DnsRecord[] => addresses.map((address) => ({ type: 'AAAA', address }))
const srv = (priority: number, port: number, target: string): DnsRecord => ({
  type: 'SRV',
  priority,
  weight: 1,
  port,
  target,
})
const naptr = (
  order: number,
  preference: number,
  service: string,
  replacement: string,
  flags = 's',
): DnsRecord => ({
  type: 'NAPTR',
  order,
  preference,
  flags,
  service,
  replacement,
})

const BOTH: Policy = { supported: ['udp', 'tcp'], families: [4] }
const ALL: Policy = { supported: ['udp', 'tcp', 'tls'], families: [4] }

const hop = (host: string, more: Partial<Hop> = {}): Hop => ({
  host,
  port: null,
  protocol: null,
  secure: false,
  ...more,
})

/** Answers every question from the zone, and tells what was asked in which order. */
function walk(
  where: Hop,
  zone: Zone,
  policy = BOTH,
): { asked: string[][]; targets: string[]; failed: boolean } {
  const said = new Map<string, Answer>()
  const asked: string[][] = []
  for (let rounds = 0; rounds < 6; rounds++) {
    const step = stepTo(
      where,
      policy,
      ({ type, name }: Question) => said.get(`${type} ${name}`),
      () => 0.999,
    )
    if (step.need === null) {
      const targets = step.targets.map(({ protocol, host, port }) => `${protocol} ${host} ${port}`)
      return { asked, targets, failed: step.failed }
    }
    const round = step.need.map(({ type, name }) => `${type} ${name}`)
    asked.push(round)
    for (const question of round) {
      assert.ok(!said.has(question), `${question} is asked twice`)
      const found = zone[question]
      said.set(
        question,
        found === undefined ? NONE : found === 'fails' ? FAILED : { outcome: 'found', records: found },
      )
    }
  }
  return assert.fail('no end')
}

const FULL: Zone = {
  'NAPTR b.example': [
    naptr(20, 0, 'SIP+D2U', 'late.b.example'),
    naptr(10, 30, 'SIP+D2U', '_sip._udp.b.example'),
    naptr(10, 20, 'SIP+D2T', '_sip._tcp.b.example'),
    naptr(10, 10, 'SIPS+D2T', '_sips._tcp.b.example'),
    naptr(5, 0, 'SIP+D2S', '_sip._sctp.b.example'),
    naptr(5, 0, 'E2U+sip', 'b.example', 'u'),
  ],
  'SRV _sip._udp.b.example': [srv(1, 5060, 'u1.b.example')],
  'SRV _sip._tcp.b.example': [srv(2, 5070, 't2.b.example'), srv(1, 5060, 't1.b.example')],
  'SRV _sips._tcp.b.example': [srv(1, 5061, 's1.b.example')],
  'A b.example': a('10.0.0.99'),
  'A u1.b.example': a('10.0.0.1'),
  'A t1.b.example': a('10.0.0.2'),
  'A t2.b.example': a('10.0.0.3'),
  'A s1.b.example': a('10.0.0.4'),
}

describe('RFC 3263 §4.1, §4.2', () => {
  const literals: readonly (readonly [string, Hop, string])[] = [
    ['an address: UDP at 5060', hop('10.0.0.2'), 'udp 10.0.0.2 5060'],
    ['an address, sips: TLS at 5061', hop('10.0.0.2', { secure: true }), 'tls 10.0.0.2 5061'],
    [
      'an address with transport and port',
      hop('2001:db8::1', { port: 5080, protocol: 'tcp' }),
      'tcp 2001:db8::1 5080',
    ],
    ['an address with transport', hop('10.0.0.2', { protocol: 'tcp' }), 'tcp 10.0.0.2 5060'],
    ['an address over WebSocket', hop('10.0.0.2', { protocol: 'wss', secure: true }), 'wss 10.0.0.2 5061'],
  ]
  for (const [what, where, target] of literals) {
    it(`${what}, without any question`, () => {
      assert.deepEqual(walk(where, {}), { asked: [], targets: [target], failed: false })
    })
  }

  it('a name with a port is a host: its addresses only, over UDP, or TLS for sips', () => {
    const { asked, targets } = walk(hop('b.example', { port: 5070 }), FULL)
    assert.deepEqual([asked, targets], [[['A b.example']], ['udp 10.0.0.99 5070']])
    assert.deepEqual(walk(hop('b.example', { port: 5070, secure: true }), FULL).targets, [
      'tls 10.0.0.99 5070',
    ])
    assert.deepEqual(walk(hop('b.example', { port: 5070, protocol: 'tcp' }), FULL).targets, [
      'tcp 10.0.0.99 5070',
    ])
  })

  it('a transport without a port: the SRV records of that transport, without NAPTR', () => {
    const { asked, targets } = walk(hop('b.example', { protocol: 'tcp' }), FULL)
    assert.deepEqual(asked[0], ['SRV _sip._tcp.b.example'])
    assert.deepEqual(targets, ['tcp 10.0.0.2 5060', 'tcp 10.0.0.3 5070'])
    assert.deepEqual(walk(hop('b.example', { protocol: 'tls', secure: true }), FULL).asked[0], [
      'SRV _sips._tcp.b.example',
    ])
  })

  it('a transport without SRV records: the addresses at its default port', () => {
    const { asked, targets } = walk(hop('b.example', { protocol: 'tcp' }), { 'A b.example': a('10.0.0.9') })
    assert.deepEqual(asked, [['SRV _sip._tcp.b.example'], ['A b.example']])
    assert.deepEqual(targets, ['tcp 10.0.0.9 5060'])
  })

  it('WebSocket: the addresses, at once', () => {
    assert.deepEqual(walk(hop('b.example', { protocol: 'ws' }), FULL).asked, [['A b.example']])
  })

  it('neither: NAPTR, of the lowest order that we speak, by preference; others are passed over', () => {
    const { asked, targets } = walk(hop('b.example'), FULL)
    assert.deepEqual(asked, [
      ['NAPTR b.example'],
      ['SRV _sip._tcp.b.example', 'SRV _sip._udp.b.example'],
      ['A t2.b.example', 'A t1.b.example', 'A u1.b.example'],
    ])
    assert.deepEqual(targets, ['tcp 10.0.0.2 5060', 'tcp 10.0.0.3 5070', 'udp 10.0.0.1 5060'])
    assert.deepEqual(walk(hop('b.example'), FULL, ALL).targets[0], 'tls 10.0.0.4 5061')
    assert.deepEqual(walk(hop('b.example', { secure: true }), FULL, ALL).targets, ['tls 10.0.0.4 5061'])
  })

  it('a higher order is of no use once a lower one is (RFC 3403 §4.1), and is used when it is the only one', () => {
    const zone: Zone = {
      'NAPTR b.example': [naptr(1, 0, 'SIPS+D2T', 'x.b.example'), naptr(2, 0, 'sip+d2u', 'y.b.example', 'S')],
      'SRV y.b.example': [srv(1, 5099, 'h.b.example')],
      'A h.b.example': a('10.0.0.7'),
    }
    assert.deepEqual(walk(hop('b.example'), zone).targets, ['udp 10.0.0.7 5099'])
  })

  it('without NAPTR: SRV of each transport that we speak, ours first; without these the addresses over UDP', () => {
    const { 'NAPTR b.example': _, ...rest } = FULL
    const { asked, targets } = walk(hop('b.example'), rest)
    assert.deepEqual(asked[1], ['SRV _sip._udp.b.example', 'SRV _sip._tcp.b.example'])
    assert.deepEqual(targets, ['udp 10.0.0.1 5060', 'tcp 10.0.0.2 5060', 'tcp 10.0.0.3 5070'])
    assert.deepEqual(walk(hop('b.example'), { 'A b.example': a('10.0.0.9') }).targets, ['udp 10.0.0.9 5060'])
    const secure = walk(hop('b.example', { secure: true }), { 'A b.example': a('10.0.0.9') }, ALL)
    assert.deepEqual(secure.asked, [['NAPTR b.example'], ['SRV _sips._tcp.b.example'], ['A b.example']])
    assert.deepEqual(secure.targets, ['tls 10.0.0.9 5061'])
  })

  it('NAPTR that leads to no SRV record: as if there were no NAPTR', () => {
    const zone: Zone = {
      'NAPTR b.example': [naptr(1, 0, 'SIP+D2U', 'gone.b.example')],
      'A b.example': a('10.0.0.9'),
    }
    assert.deepEqual(walk(hop('b.example'), zone).targets, ['udp 10.0.0.9 5060'])
  })

  it("an SRV target of '.' says that the service is not there (RFC 2782), and no address is asked for", () => {
    const zone: Zone = { 'SRV _sip._udp.b.example': [srv(0, 0, '')], 'A b.example': a('10.0.0.9') }
    const { asked, targets, failed } = walk(hop('b.example', { protocol: 'udp' }), zone)
    assert.deepEqual([asked, targets, failed], [[['SRV _sip._udp.b.example']], [], false])
  })

  it('asks for the addresses of the families in use, in their order', () => {
    const zone: Zone = { 'A b.example': a('10.0.0.9'), 'AAAA b.example': aaaa('2001:db8::9') }
    const six: Policy = { supported: ['udp'], families: [6, 4] }
    assert.deepEqual(walk(hop('b.example', { port: 5060 }), zone, six).targets, [
      'udp 2001:db8::9 5060',
      'udp 10.0.0.9 5060',
    ])
    assert.deepEqual(walk(hop('b.example', { port: 5060 }), zone).asked, [['A b.example']])
  })

  it('names no target twice, no more than ten, and takes an SRV target that is an address', () => {
    const zone: Zone = {
      'SRV _sip._udp.b.example': [
        srv(1, 5060, 'h.b.example'),
        srv(2, 5060, 'i.b.example'),
        srv(3, 5060, '10.0.0.1'),
      ],
      'A h.b.example': a('10.0.0.1'),
      'A i.b.example': a('10.0.0.1', '10.0.0.2'),
    }
    assert.deepEqual(walk(hop('b.example', { protocol: 'udp' }), zone).targets, [
      'udp 10.0.0.1 5060',
      'udp 10.0.0.2 5060',
    ])
    const many = { 'A b.example': a(...Array.from({ length: 30 }, (_, i) => `10.0.0.${i + 1}`)) }
    assert.equal(walk(hop('b.example', { port: 5060 }), many).targets.length, 10)
  })

  it('says that an answer is missing, and goes on with what there is', () => {
    const { 'A t1.b.example': _, ...rest } = FULL
    const { targets, failed } = walk(hop('b.example'), { ...rest, 'A t1.b.example': 'fails' })
    assert.deepEqual([targets, failed], [['tcp 10.0.0.3 5070', 'udp 10.0.0.1 5060'], true])
    const nothing = walk(hop('b.example'), {
      'NAPTR b.example': 'fails',
      'SRV _sip._udp.b.example': 'fails',
      'SRV _sip._tcp.b.example': 'fails',
      'A b.example': 'fails',
    })
    assert.deepEqual([nothing.targets, nothing.failed], [[], true])
  })
})
