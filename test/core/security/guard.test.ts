import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Protocol } from '../../../src/base/address.ts'
import { Guard } from '../../../src/core/security/guard.ts'
import { KNOWN_SCANNERS, type SecurityRules, type Signal } from '../../../src/core/security/rules.ts'
import { createSpine } from '../../../src/spine/spine.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const off: SecurityRules = {
  rateLimit: null,
  scanners: null,
  failedAuth: null,
  trusted: [],
  acl: { allow: [], deny: [] },
}
const options: Buffer = Buffer.from('OPTIONS sip:a@b SIP/2.0\r\nUser-Agent: phone\r\n\r\n')
const ok = Buffer.from('SIP/2.0 200 OK\r\n\r\n')
const rate = { maxRequests: 10, windowMs: 1_000, banMs: 60_000 }
const auth = { threshold: 6, windowMs: 600_000, banMs: 3_600_000, strongWeight: 3 }

function lab(rules: Partial<SecurityRules>, sizes: { mostSources?: number; mostBans?: number } = {}) {
  const clock = new FakeClock()
  const faults: unknown[] = []
  const spine = createSpine((_channel, error) => faults.push(error))
  const drops: string[] = []
  const lines: string[] = []
  const cut: string[] = []
  const connected = new Set<string>()
  spine.dropped.subscribe(({ reason, protocol }) => drops.push(`${reason} ${protocol}`))
  spine.logged.subscribe(({ text }) => lines.push(text))
  const guard = new Guard({
    clock,
    spine,
    rules: { ...off, ...rules },
    onBan: (isMeant) => cut.push(...[...connected].filter((host) => isMeant(host))),
    ...sizes,
  })
  const send = (host: string, times = 1, bytes: Buffer = options, protocol: Protocol = 'udp'): number => {
    let passed = 0
    for (let i = 0; i < times; i++) if (guard.screen(bytes, host, protocol)) passed++
    return passed
  }
  const signal = (kind: Signal, host: string, protocol: Protocol = 'tcp', times = 1): void => {
    for (let i = 0; i < times; i++) guard.signal(kind, host, protocol)
  }
  return { clock, guard, drops, lines, cut, connected, send, signal, faults }
}

describe('access list', () => {
  it('shuts out who is denied, and everybody else than who is allowed; deny goes first, trusted or not', () => {
    const { guard, send, drops } = lab({
      acl: { allow: ['192.0.2.0/24', '2001:db8::/32'], deny: ['192.0.2.66'] },
      trusted: ['192.0.2.66', '198.51.100.1'],
    })
    assert.equal(send('192.0.2.1'), 1)
    assert.equal(send('2001:db8:1::5'), 1)
    assert.equal(send('::ffff:192.0.2.7'), 1)
    assert.equal(send('192.0.2.66'), 0)
    assert.equal(send('198.51.100.1'), 0)
    assert.equal(guard.admit('203.0.113.1', 'tcp'), false)
    assert.deepEqual(drops, ['acl udp', 'acl udp', 'acl tcp'])
  })
})

describe('rate limit', () => {
  it('bans the source of one request too many, and nobody else', () => {
    const { send, drops, guard, lines } = lab({ rateLimit: rate })
    assert.equal(send('192.0.2.1', 15), 10)
    assert.equal(send('192.0.2.2', 10), 10)
    assert.deepEqual(drops, Array(5).fill('rate_limit udp'))
    assert.deepEqual(
      guard.page(0, 10).map(({ source, reason, drops: count }) => [source, reason, count]),
      [['192.0.2.1', 'rate_limit', 5]],
    )
    assert.deepEqual(lines, ['192.0.2.1 is banned for 60 s: rate_limit'])
  })

  it('counts a window at a time, requests only, and never those of the trusted', () => {
    const { send, clock } = lab({ rateLimit: rate, trusted: ['10.0.0.0/8'] })
    for (let i = 0; i < 5; i++) {
      assert.equal(send('192.0.2.1', 10), 10)
      clock.advance(1_000)
    }
    assert.equal(send('192.0.2.3', 1_000, ok), 1_000)
    assert.equal(send('10.1.2.3', 1_000), 1_000)
  })

  it('lets responses of the banned through as datagrams, and ends with its time', () => {
    const { send, clock, guard, lines } = lab({ rateLimit: rate })
    send('192.0.2.1', 11)
    assert.equal(send('192.0.2.1', 1, ok), 1)
    assert.equal(send('192.0.2.1', 1, ok, 'tcp'), 0)
    assert.equal(guard.admit('192.0.2.1', 'tcp'), false)
    clock.advance(61_000)
    assert.equal(guard.banned, 0)
    assert.equal(send('192.0.2.1', 1), 1)
    assert.equal(lines.at(-1), 'the ban of 192.0.2.1 is over; 3 refused')
  })

  it('counts all of a /64 as one', () => {
    const { send, guard } = lab({ rateLimit: rate })
    let passed = 0
    for (let i = 0; i < 20; i++) passed += send(`2001:db8:0:1::${i.toString(16)}`)
    assert.equal(passed, 10)
    assert.ok(guard.isBanned('2001:db8:0:1:ffff::1'))
    assert.ok(!guard.isBanned('2001:db8:0:2::1'))
    assert.deepEqual(guard.page(0, 1)[0]?.source, '2001:db8:0:1::/64')
    assert.ok(guard.unban('2001:db8:0:1::9'))
  })
})

describe('scanners', () => {
  const scan = (line: string): Buffer => Buffer.from(`OPTIONS sip:a@b SIP/2.0\r\n${line}\r\n\r\n`)
  it('are known by any spelling of the field and the name', () => {
    const { send, drops } = lab({ scanners: KNOWN_SCANNERS })
    for (const line of [
      'User-Agent: friendly-scanner',
      'USER-AGENT:\tFriendly-Scanner 1.0',
      'user-agent : x sipvicious y',
      'User-Agent:\r\n sundayddr',
    ]) {
      assert.equal(send('192.0.2.1', 1, scan(line)), 0, line)
    }
    assert.equal(send('192.0.2.1', 1, scan('Subject: friendly-scanner')), 1)
    assert.equal(send('192.0.2.1'), 1)
    assert.deepEqual(new Set(drops), new Set(['scanner udp']))
  })

  it('are not taken for patterns', () => {
    const { send } = lab({ scanners: ['a.b(c'] })
    assert.equal(send('192.0.2.1', 1, scan('User-Agent: A.B(C')), 0)
    assert.equal(send('192.0.2.1', 1, scan('User-Agent: axb(c')), 1)
  })

  it('weigh 3 on a stream and 1 as datagrams', () => {
    const { send, guard } = lab({ scanners: KNOWN_SCANNERS, failedAuth: auth })
    const bytes = scan('User-Agent: sipcli')
    send('192.0.2.1', 2, bytes, 'tcp')
    send('192.0.2.2', 5, bytes)
    assert.deepEqual([guard.isBanned('192.0.2.1'), guard.isBanned('192.0.2.2')], [true, false])
    send('192.0.2.2', 1, bytes)
    assert.ok(guard.isBanned('192.0.2.2'))
  })
})

describe('bans for failures', () => {
  it('come at the threshold, by weight', () => {
    const { signal, guard } = lab({ failedAuth: auth })
    for (const [host, kind, protocol, times] of [
      ['192.0.2.1', 'bad_credentials', 'tcp', 2],
      ['192.0.2.2', 'bad_credentials', 'udp', 6],
      ['192.0.2.3', 'challenged', 'tcp', 6],
      ['192.0.2.4', 'not_acknowledged', 'udp', 6],
      ['192.0.2.5', 'handshake', 'tls', 6],
      ['192.0.2.6', 'not_sip', 'tcp', 2],
    ] as const) {
      signal(kind, host, protocol, times - 1)
      assert.ok(!guard.isBanned(host), kind)
      signal(kind, host, protocol)
      assert.ok(guard.isBanned(host), kind)
    }
    assert.deepEqual(
      guard.page(0, 1).map((b) => [b.reason, b.score]),
      [['failed_auth', 6]],
    )
  })

  it('are averted by success, by time, and by trust', () => {
    const { signal, guard, clock } = lab({ failedAuth: auth, trusted: ['198.51.100.0/24'] })
    signal('challenged', '192.0.2.1', 'udp', 5)
    guard.cleared('192.0.2.1')
    signal('challenged', '192.0.2.1', 'udp', 5)
    assert.ok(!guard.isBanned('192.0.2.1'))
    clock.advance(600_000)
    signal('challenged', '192.0.2.1', 'udp', 5)
    assert.ok(!guard.isBanned('192.0.2.1'))
    signal('bad_credentials', '198.51.100.7', 'tcp', 100)
    assert.ok(!guard.isBanned('198.51.100.7'))
  })

  it('cut what is connected, drop all it sends, and are lifted whole', () => {
    const { signal, guard, cut, connected, send, drops } = lab({ failedAuth: auth })
    connected.add('192.0.2.1').add('::ffff:192.0.2.1').add('192.0.2.2')
    signal('bad_credentials', '192.0.2.1', 'tcp', 2)
    assert.deepEqual(cut, ['192.0.2.1', '::ffff:192.0.2.1'])
    assert.equal(send('192.0.2.1', 2, ok), 0)
    assert.deepEqual(drops, ['banned udp', 'banned udp'])
    assert.ok(guard.unban('192.0.2.1'))
    assert.ok(!guard.unban('192.0.2.1'))
    assert.equal(send('192.0.2.1'), 1)
    signal('bad_credentials', '192.0.2.1', 'tcp')
    assert.ok(!guard.isBanned('192.0.2.1'))
  })
})

describe('bans of a script', () => {
  it('work with nothing configured, and cost nothing after', () => {
    const { guard, send, clock } = lab({})
    assert.equal(guard.ban('192.0.2.1', { seconds: 5, reason: 'toll fraud' }), 'banned')
    assert.equal(send('192.0.2.1'), 0)
    assert.equal(send('192.0.2.2'), 1)
    clock.advance(4_000)
    // The later end counts.
    guard.ban('192.0.2.1', { seconds: 3, reason: 'again' })
    clock.advance(2_000)
    assert.ok(guard.isBanned('192.0.2.1'))
    clock.advance(2_000)
    assert.equal(send('192.0.2.1'), 1)
  })
  it('are not for the trusted, nor for what is no address', () => {
    const { guard } = lab({ trusted: ['192.0.2.0/24'] })
    assert.equal(guard.ban('192.0.2.1', { seconds: 5, reason: 'x' }), 'trusted')
    assert.equal(guard.ban('example.com', { seconds: 5, reason: 'x' }), 'no_address')
    assert.equal(guard.banned, 0)
  })
})

describe('memory', () => {
  it('does not grow with forged sources, and does not forget who sends now', () => {
    const { guard, send } = lab(
      { rateLimit: { ...rate, maxRequests: 1_000, windowMs: 1e9 } },
      { mostSources: 100 },
    )
    let passed = 0
    for (let i = 0; i < 200_000; i++) {
      send(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`)
      if (i % 50 === 0) passed += send('192.0.2.1')
    }
    assert.ok(guard.remembered <= 200, String(guard.remembered))
    assert.equal(passed, 1_000)
    assert.ok(guard.isBanned('192.0.2.1'))
  })

  it('remembers the ban of a source it has forgotten', () => {
    const { guard, send } = lab({ rateLimit: rate }, { mostSources: 10 })
    guard.ban('192.0.2.1', { seconds: 1_000, reason: 'x' })
    for (let i = 0; i < 1_000; i++) send(`10.0.${i >> 8}.${i & 255}`)
    assert.equal(send('192.0.2.1'), 0)
  })

  it('lets the oldest ban go for the newest, and tells a flood of bans in few lines', () => {
    const { guard, lines, clock } = lab({}, { mostBans: 100 })
    for (let i = 0; i < 1_000; i++) guard.ban(`10.0.${i >> 8}.${i & 255}`, { seconds: 1_000, reason: 'x' })
    assert.equal(guard.banned, 100)
    assert.ok(!guard.isBanned('10.0.0.0'))
    assert.ok(guard.isBanned('10.0.3.231'))
    assert.equal(lines.length, 20)
    clock.advance(10_000)
    assert.equal(lines.at(-1), '1880 more bans began or ended in the last 10 s')
  })

  it('pages bans in order', () => {
    const { guard } = lab({})
    for (let i = 0; i < 25; i++) guard.ban(`10.0.0.${i}`, { seconds: 1_000, reason: 'x' })
    const seen: string[] = []
    for (let after = 0; ;) {
      const page = guard.page(after, 10)
      seen.push(...page.map((b) => b.source))
      const last = page.at(-1)
      if (last === undefined) break
      after = last.id
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 25 }, (_, i) => `10.0.0.${i}`),
    )
  })
})
