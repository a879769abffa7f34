import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import type { Config } from '../../src/config/config.ts'
import type { Environment } from '../../src/config/expand.ts'
import { formatFault } from '../../src/config/fault.ts'
import { loadConfig, parseConfig } from '../../src/config/load.ts'

const SCRIPT = 'script: { path: s.ts }\n'

function good(source: string, env: Environment = {}): Config {
  const result = parseConfig('/etc/siphon/siphon.yaml', source, env)
  assert.ok(result.ok, result.ok ? '' : result.faults.map(formatFault).join('\n'))
  return result.config
}

/** Faults as `line:col path — what; instead`. */
function bad(source: string, env: Environment = {}): string[] {
  const result = parseConfig('f', source, env)
  assert.ok(!result.ok, 'expected faults')
  return result.faults.map((f) => formatFault(f).slice(2))
}

function warned(source: string): string[] {
  const result = parseConfig('f', source, {})
  assert.ok(result.ok, result.ok ? '' : result.faults.map(formatFault).join('\n'))
  return result.warnings.map((w) => `${w.line}:${w.column} ${w.path} ${w.what}`)
}

describe('defaults', () => {
  it('opens two ports on loopback and nothing else', () => {
    const config = good(SCRIPT)
    const address = { host: '127.0.0.1', port: 5060, advertise: null }
    assert.deepEqual(config.listen, {
      udp: [address],
      tcp: [{ ...address, proxy_protocol: false }],
      tls: [],
      ws: [],
      wss: [],
      mtu: 1500,
      proxy_protocol_from: [],
    })
    // RFC 3261 §16.6 step 11: Timer C is larger than three minutes.
    assert.ok(config.transaction.timer_c_secs > 180)
    assert.equal(config.tls, null)
    assert.equal(config.metrics.prometheus, null)
    assert.equal(config.admin, null)
    assert.equal(config.cdr.enabled, false)
    assert.equal(config.cdr.auto_emit, true)
    assert.equal(config.cdr.spool_path, '/etc/siphon/spool')
    assert.equal(config.tracing.hep, null)
  })
  it('takes a block without keys for an absent one', () => {
    assert.equal(good(`${SCRIPT}admin:\nlisten:\nregistrar:\n  # min_expires: 5\n`).admin, null)
  })
  it('listens where listen says and nowhere else', () => {
    assert.deepEqual(good(`${SCRIPT}listen: { udp: ["127.0.0.1:5070"] }`).listen.tcp, [])
    assert.deepEqual(bad(`${SCRIPT}listen: { udp: [] }`), [
      '2:1 listen — names no listener; write udp: ["127.0.0.1:5060"] below it, or take listen out',
    ])
  })
  it('insists on a script', () => {
    assert.deepEqual(bad('log: { level: info }'), [
      '1:1 script.path — is missing; write a path like script.ts',
    ])
    assert.equal(bad('').length, 1)
  })
  it('derives the capture id from the node name as the original does', () => {
    assert.equal(
      good(`${SCRIPT}tracing: { hep: { endpoint: "h:1", agent_id: "2001" } }`).tracing.hep?.capture_id,
      2001,
    )
    const named = good(`${SCRIPT}tracing: { hep: { endpoint: "h:1" } }\nserver: { instance_id: a }`)
    assert.equal(named.tracing.hep?.agent_id, 'a')
    assert.equal(named.tracing.hep?.capture_id, 0xe40c292c)
  })
})

describe('values', () => {
  it('resolves paths from the folder of the file', () => {
    const config = good(`${SCRIPT}cdr: { file: { path: ../x.jsonl }, spool_path: /var/spool }`)
    assert.equal(config.script.path, '/etc/siphon/s.ts')
    assert.equal(config.cdr.file.path, '/etc/x.jsonl')
    assert.equal(config.cdr.spool_path, '/var/spool')
  })
  for (const [written, seconds] of [
    ['30s', 30],
    ['5m', 300],
    ['500ms', 0.5],
    ['1h', 3600],
    ['2.5', 2.5],
    ['7', 7],
  ] as const) {
    it(`reads the duration ${written} as ${seconds} s`, () => {
      assert.equal(
        good(`script: { path: s.ts, handler_timeout_secs: ${written} }`).script.handler_timeout_secs,
        seconds,
      )
    })
  }
  it('reads IPv6 in brackets, and { address, advertise }', () => {
    const source = `${SCRIPT}listen:\n  udp:\n    - "[::1]:5060"\n    - { address: "127.0.0.1:5061", advertise: "sip.example.com:5080" }\nadvertised_address: 192.0.2.1\n`
    assert.deepEqual(good(source).listen.udp, [
      { host: '::1', port: 5060, advertise: { host: '192.0.2.1', port: null } },
      { host: '127.0.0.1', port: 5061, advertise: { host: 'sip.example.com', port: 5080 } },
    ])
  })
  it('expands variables in values only, and then reads them as numbers and booleans', () => {
    const source = `# \${NOT_SET}\nscript: { path: "\${DIR}/s.ts", sync_pool_size: "\${N:-3}", handler_timeout_secs: "\${T:-5s}" }\ncdr: { enabled: "\${ON}" }\nserver: { instance_id: "a$$b" }`
    const config = good(source, { DIR: '/opt', ON: 'true', N: '' })
    assert.equal(config.script.path, '/opt/s.ts')
    assert.equal(config.script.sync_pool_size, 3)
    assert.equal(config.cdr.enabled, true)
    assert.equal(config.server.instance_id, 'a$b')
  })
  it('cannot have its structure changed from the environment', () => {
    assert.equal(
      good(`${SCRIPT}server: { instance_id: "\${X}" }`, { X: 'a: b, c: {d}' }).server.instance_id,
      'a: b, c: {d}',
    )
  })
  it('takes an empty token for none', () => {
    assert.equal(
      good(`${SCRIPT}admin: { listen: "127.0.0.1:1", auth: { token: "\${T:-}" } }`).admin?.auth.token,
      null,
    )
  })
  it('keeps a key named __proto__ from doing anything', () => {
    assert.equal(bad(`${SCRIPT}__proto__: { polluted: true }`).length, 1)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })
})

describe('faults', () => {
  it('come all at once, with line, column and what to write', () => {
    const source = `lisen: {}
listen:
  udp: ["::1:5060", ":5060", "localhost:5060", "127.0.0.1"]
script: { path: 5, sync_pool_size: 0, handler_timeout_secs: soon, reload: atuo }
cdr: { enabled: yes, http: { url: "ftp://x", auth_header: "a\\r\\nX: y" } }
registrar: 5
domain: { local: example.com }
`
    assert.deepEqual(bad(source), [
      '1:1 lisen — is not a key of the configuration; did you mean listen?',
      '3:9 listen.udp[0] — is an IPv6 address without brackets; write "127.0.0.1:5060", or "[::1]:5060" for IPv6',
      '3:21 listen.udp[1] — names no IP address; write "127.0.0.1:5060", or "0.0.0.0:…" for every interface',
      '3:30 listen.udp[2] — is a name, not an IP address; write the IP address: "127.0.0.1:5060", or "[::1]:5060" for IPv6',
      '3:48 listen.udp[3] — has no port; write "127.0.0.1:5060", or "[::1]:5060" for IPv6',
      '4:17 script.path — is a number, not text; put it in quotes',
      '4:36 script.sync_pool_size — is too small; write a whole number from 1 to 256',
      '4:61 script.handler_timeout_secs — is not a duration; write a duration from 0.01s to 3600s, like 30s or 5m',
      '4:75 script.reload — is not one of auto, sighup; did you mean auto?',
      '5:17 cdr.enabled — is text: YAML 1.2 knows no yes and on; write true',
      '5:35 cdr.http.url — is not an http or https URL; write a URL like https://collector.example.com/v1/cdr',
      '5:59 cdr.http.auth_header — holds a line break or another unprintable character; write the value of the Authorization field, like "Bearer …" on one line',
      '6:12 registrar — is not a block; write its keys below it, indented',
      '7:18 domain.local — is not a list; write its entries in [ ], or one a line after a dash',
    ])
  })
  it('of keys that nobody knows hide neither what is wrong between others, nor the script', () => {
    const source = `script: { path: s.ts, sync_pool_size: 9, sync_pool_max: 2, reload: { x: 1 }, sync_pool_min: 1 }
cdr: { enabled: true, backend: http, file: { pth: x } }
`
    const result = parseConfig('/etc/f', source, {})
    assert.ok(!result.ok)
    assert.deepEqual(
      result.faults.map((f) => `${f.line}:${f.column} ${f.path} ${f.what}`),
      [
        '1:57 script.sync_pool_max is less than sync_pool_size',
        '1:60 script.reload is not one of auto, sighup',
        '1:78 script.sync_pool_min is not a key of the configuration',
        '2:32 cdr.backend is http, and there is no cdr.http',
        '2:46 cdr.file.pth is not a key of the configuration',
      ],
    )
    assert.equal(result.script?.path, '/etc/s.ts')
  })
  it('of one value do not hide what is wrong between others of its block', () => {
    const both = (block: string): string[] =>
      bad(`${block.startsWith('script') ? '' : SCRIPT}${block}\n`).map(
        (fault) => /^\S+ (\S+ — \w+ \w+)/.exec(fault)?.[1] ?? fault,
      )
    assert.deepEqual(both('script: { path: s.ts, sync_pool_size: 9, sync_pool_max: 2, reload: sometimes }'), [
      'script.sync_pool_max — is less',
      'script.reload — is not',
    ])
    assert.deepEqual(both('admin: { listen: "0.0.0.0:9465", insecure: maybe }'), [
      'admin.listen — is open',
      'admin.insecure — is neither',
    ])
    assert.deepEqual(both('registrar: { min_expires: 5000, max_contacts: x }'), [
      'registrar.default_expires — is less',
      'registrar.max_contacts — is not',
    ])
    assert.deepEqual(
      both(
        `gateway: { groups: [{ name: a, algorithm: random, destinations: [{ uri: "sip:a" }] }, { name: a, destinations: [] }] }`,
      ),
      [
        'gateway.groups[0].algorithm — is not',
        'gateway.groups[1].name — is the',
        'gateway.groups[1].destinations — is empty',
      ],
    )
    assert.deepEqual(both('listen: { udp: ["127.0.0.1:1", "x", "127.0.0.1:1"], tls: ["127.0.0.1:2"] }'), [
      'listen.udp[1] — is a',
      'listen.udp[2] — is taken',
      'listen.tls — needs a',
    ])
    assert.deepEqual(both('tls: { certificate: a.pem, min_version: SSL, verify_client: true }'), [
      'tls.certificate — is given',
      'tls.min_version — is not',
      'tls.verify_client — needs to',
    ])
    assert.deepEqual(both('cdr: { backends: [http, telex, http], syslog: 5 }'), [
      'cdr.backends[0] — is http',
      'cdr.backends[1] — is not',
      'cdr.backends[2] — names http',
      'cdr.syslog — is not',
    ])
    assert.deepEqual(
      both(
        'media: { rtpengine: { instances: [{ address: "127.0.0.1:1" }, { address: x }, { address: "127.0.0.1:1" }] } }',
      ),
      ['media.rtpengine.instances[1].address — is a', 'media.rtpengine.instances[2].address — is there'],
    )
    assert.deepEqual(
      both('auth: { backend: http, algorithms: [MD4], qop: [], users: { alice: 5, bob: x } }'),
      [
        'auth — has no',
        'auth.backend — is http',
        'auth.algorithms[0] — is not',
        'auth.qop — is empty',
        'auth.users.alice — is a',
      ],
    )
  })
  it('of a value say nothing of what depends on it', () => {
    for (const block of [
      'registrar: { min_expires: x, default_expires: 10 }',
      'registrar: { min_expires: 8000, max_expires: x, default_expires: 8000 }',
      'script: { path: s.ts, sync_pool_size: x, sync_pool_max: 1 }',
      'admin: { listen: "0.0.0.0:9465", auth: { token: "sec ret" } }',
      'listen: { udp: x }',
      'gateway: { groups: [{ name: "a b", destinations: [{ uri: "sip:a" }] }, { name: a, destinations: [{ uri: "sip:a" }] }] }',
      'tls: { certificate: a.pem, private_key: 5 }',
      'auth: { backend: telex, users: { alice: x } }',
      'cdr: { backend: http, http: 5 }',
      'media: { rtpengine: { address: x } }',
    ]) {
      assert.equal(bad(`${block.startsWith('script') ? '' : SCRIPT}${block}\n`).length, 1, block)
    }
  })
  it('name a variable that is not set, and never a value', () => {
    assert.deepEqual(
      bad(
        `script: { path: "\${A}", sync_pool_size: "\${B:?how many}" }\nadmin: { listen: "127.0.0.1:1", auth: { token: "\${C}" } }`,
        { C: 'sec ret' },
      ),
      [
        '1:17 script.path — needs the environment variable A, which is not set; set it, or write ${A:-default}',
        '1:41 script.sync_pool_size — needs the environment variable B: how many; set B',
        '2:48 admin.auth.token — holds a character that cannot be sent in a header field; write printable ASCII without spaces',
      ],
    )
  })
  it('say where the YAML is broken', () => {
    assert.match(bad('script:\n  path: "s.ts\nlog: {}\n')[0] ?? '', /^\d+:\d+ — is not YAML: /)
    assert.match(bad('a: 1\na: 2\n')[0] ?? '', /^2:1 — is not YAML: .*; keep one of the two$/)
    assert.match(bad('script:\n\tpath: s.ts\n')[0] ?? '', /^2:1 — is not YAML: .*; indent with spaces$/)
    assert.match(bad('- a\n')[0] ?? '', /is not a configuration/)
  })
  it('survive aliases that multiply themselves', () => {
    const source = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
      .split('')
      .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}\n`
    assert.ok(bad(source).length > 0)
  })
  it('tell a file that is not there', () => {
    const result = loadConfig('/nowhere/siphon.yaml', {})
    assert.ok(!result.ok)
    assert.match(formatFault(result.faults[0]!), /^\/nowhere\/siphon.yaml:1:1 — cannot be read: ENOENT/)
  })
})

describe('faults across keys', () => {
  const cases: readonly [title: string, source: string, fault: RegExp][] = [
    [
      'the same port twice',
      'listen: { udp: ["0.0.0.0:5060", "127.0.0.1:5060"] }',
      /^2:33 listen.udp\[1\] — is taken by listen.udp\[0\]/,
    ],
    [
      'metrics and admin on one port',
      'metrics: { prometheus: { listen: "127.0.0.1:9" } }\nadmin: { listen: "127.0.0.1:9" }',
      /^3:18 admin.listen — is taken by metrics.prometheus.listen .*the admin port serves \/metrics too/,
    ],
    [
      'metrics on the SIP port over TCP',
      'metrics: { prometheus: { listen: "127.0.0.1:5060" } }',
      /metrics.prometheus.listen — is taken by listen/,
    ],
    ['an unknown block', 'X: 1', /X — is not a key/],
    [
      'expiry order',
      'registrar: { min_expires: 100, default_expires: 50 }',
      /^2:49 registrar.default_expires — is less than min_expires \(100\)/,
    ],
    [
      'TTLs the wrong way round',
      'dns: { min_ttl_secs: 60, max_ttl_secs: 30 }',
      /^2:22 dns.min_ttl_secs — is more than max_ttl_secs/,
    ],
    [
      'a name server by name',
      'dns: { servers: ["ns.example"] }',
      /dns.servers\.0 — is not an IP address|dns.servers\[0\]/,
    ],
    [
      'an open admin port',
      'admin: { listen: "0.0.0.0:9465" }',
      /admin.listen — is open to other machines, and there is no token/,
    ],
    [
      'http records without a collector',
      'cdr: { backend: http }',
      /^2:17 cdr.backend — is http, and there is no cdr.http/,
    ],
    ['a backend twice', 'cdr: { backends: [file, file] }', /^2:25 cdr.backends\[1\] — names file twice/],
    [
      'a CA for records without https',
      'cdr: { http: { url: "http://x", ca: x } }',
      /cdr.http.ca — has no use without https/,
    ],
    [
      'a CA without tls',
      'tracing: { hep: { endpoint: "h:1", ca_cert: x } }',
      /tracing.hep.ca_cert — has no use without tls/,
    ],
  ]
  for (const [title, source, fault] of cases) {
    it(title, () => assert.match(bad(SCRIPT + source).join('\n'), fault))
  }
  it('allow what is meant', () => {
    good(`${SCRIPT}admin: { listen: "0.0.0.0:9465", insecure: true }`)
    good(`${SCRIPT}admin: { listen: "0.0.0.0:9465", auth: { token: t } }`)
    good(`${SCRIPT}listen: { udp: ["127.0.0.1:0", "127.0.0.1:0"] }`)
    assert.match(
      bad('script: { path: s, sync_pool_size: 4, sync_pool_max: 3 }')[0] ?? '',
      /sync_pool_max — is less than sync_pool_size; write 4 or more/,
    )
  })
})

describe('auth', () => {
  const auth = (text: string): string => `${SCRIPT}domain: { local: [Example.com] }\nauth: ${text}`
  it('takes its realm from the first domain, and offers what phones know', () => {
    const config = good(auth('{ users: { alice: secret, __proto__: p } }')).auth
    assert.equal(config.realm, 'example.com')
    assert.deepEqual(config.users, [
      ['alice', { password: 'secret' }],
      ['__proto__', { password: 'p' }],
    ])
    assert.deepEqual(config.algorithms, ['MD5'])
    assert.deepEqual([config.nonce_ttl_secs, config.nonce_secret, config.http], [3600, null, null])
    assert.equal(good(SCRIPT).auth.realm, null)
  })
  it('takes hashes in place of passwords, one for each algorithm', () => {
    const md5 = 'AB'.repeat(16)
    const config = good(auth(`{ algorithms: [MD5-sess], users: { alice: { ha1: "${md5}" } } }`)).auth
    assert.deepEqual(config.users, [['alice', { ha1: { MD5: md5.toLowerCase() } }]])
    assert.deepEqual(bad(auth(`{ algorithms: [SHA-256, MD5], users: { alice: { ha1: "${md5}" } } }`)), [
      '3:46 auth.users.alice — has no ha1 for SHA-256, which is offered; add it, or write auth.algorithms: [MD5]',
    ])
  })
  it('says what is wrong with a user, and never repeats a password', () => {
    const faults = bad(
      auth('{ users: { a: 123456, b: { ha1: nonsense }, c: { ha1: { MD4: x } }, d: { pass: x }, e: [] } }'),
    )
    assert.deepEqual(
      faults.map((f) => f.replace(/^\S+ /, '').split(' — ')[0]),
      ['auth.users.a', 'auth.users.b.ha1', 'auth.users.c.ha1.MD4', 'auth.users.d', 'auth.users.e'],
    )
    assert.doesNotMatch(faults.join(), /123456|nonsense/)
    assert.equal(bad(auth('{ users: [alice] }')).length, 1)
  })
  it('checks the URL of the service', () => {
    const url = (text: string): string | undefined =>
      bad(auth(`{ backend: http, http: { url: "${text}" } }`))[0]
    assert.match(url('http://h/u') ?? '', /has no \{username\}/)
    assert.match(url('http://h/{username}/{password}') ?? '', /placeholder/)
    assert.match(url('http://{username}.h/') ?? '', /host|URL/)
    assert.match(url('ftp://h/{username}') ?? '', /not an http/)
    assert.match(url('http://u:p@h/{username}') ?? '', /user in its host/)
    good(auth('{ backend: http, http: { url: "https://h/{username}?realm={realm}" } }'))
  })
  it('checks across keys', () => {
    const first = (text: string): string => bad(auth(text))[0] ?? ''
    assert.match(first('{ backend: http }'), /auth.backend — is http, and there is no auth.http/)
    assert.match(
      first('{ backend: http, users: { a: b }, http: { url: "http://h/{username}" } }'),
      /auth.users — /,
    )
    assert.match(first('{ algorithms: [] }'), /algorithms — is empty/)
    assert.match(first('{ qop: [auth, auth] }'), /qop — names one twice/)
    assert.match(first('{ nonce_secret: short }'), /shorter than 16/)
    assert.match(bad(`${SCRIPT}auth: { users: { a: b } }`)[0] ?? '', /has no realm/)
  })
})

describe('listeners of several protocols', () => {
  const tls = 'tls: { certificate: c.pem, private_key: k.pem }\n'

  it('are read with what each may have', () => {
    const { listen, tls: read } = good(
      `${SCRIPT}${tls}listen: { tls: [{ address: "[::1]:5061", advertise: sip.example.com, proxy_protocol: true }], wss: ["0.0.0.0:443"], ws: ["[::]:80", "0.0.0.0:80"], proxy_protocol_from: ["10.0.0.0/8", "::1"] }`,
    )
    assert.deepEqual(listen.tls, [
      { host: '::1', port: 5061, advertise: { host: 'sip.example.com', port: null }, proxy_protocol: true },
    ])
    assert.equal(listen.ws.length, 2)
    assert.equal(read?.certificate, '/etc/siphon/c.pem')
    assert.equal(read?.method, 'TLSv1_2')
    assert.equal(read?.verify_server, true)
  })

  for (const [title, source, fault] of [
    ['TLS without a certificate', 'listen: { tls: ["127.0.0.1:5061"] }', /listen\.tls — needs a certificate/],
    [
      'two protocols on one port',
      'listen: { tcp: ["127.0.0.1:80"], ws: ["0.0.0.0:80"] }',
      /listen\.ws\[0\] — is taken by listen\.tcp\[0\].*each protocol needs one of its own/,
    ],
    [
      'a PROXY header from anybody',
      'listen: { tcp: [{ address: "127.0.0.1:80", proxy_protocol: true }] }',
      /listen\.tcp\[0\]\.proxy_protocol — needs to know which load balancers/,
    ],
    ['a network that is none', 'listen: { proxy_protocol_from: ["10.0.0.0/33"] }', /prefix that is too long/],
    [
      'a certificate without its key',
      'tls: { certificate: c.pem }',
      /tls\.certificate — is given without tls\.private_key/,
    ],
    [
      'clients verified by nobody',
      'tls: { verify_client: true }',
      /tls\.verify_client — needs to know whose/,
    ],
    ['an old version', 'tls: { method: TLSv1_1 }', /tls\.method — is not one of TLSv1_2, TLSv1_3/],
    [
      'a name twice',
      'tls: { certificate: c, private_key: k, certificates: [{ server_name: [a.example, A.example], certificate: c, private_key: k }] }',
      /server_name\[1\] — is named twice/,
    ],
  ] as const) {
    it(`refuse ${title}`, () => assert.match(bad(SCRIPT + source).join('\n'), fault))
  }
})

describe('what is not supported yet', () => {
  it('is a warning with its line, and nothing in it is checked', () => {
    const source = `${SCRIPT}numbering:\n  realm: "\${NOT_SET}"\nlisten:\n  udp: ["127.0.0.1:5060"]\n  sctp: ["127.0.0.1:5061"]\n  ws: []\nregistrar: { backend: redis }\n`
    assert.deepEqual(warned(source), [
      '2:1 numbering is not supported yet and does nothing',
      '6:3 listen.sctp is not supported yet and does nothing',
      '8:14 registrar.backend is not supported yet',
    ])
  })
})

type Tree = Record<string | number, unknown>

/** The path of every block, list and value. */
function placesIn(value: unknown, at: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [[...at]]
  const below = Object.entries(value).flatMap(([key, child]) =>
    placesIn(child, [...at, Array.isArray(value) ? Number(key) : key]),
  )
  return at.length === 0 ? below : [[...at], ...below]
}

describe('the file of the quick start', () => {
  it('is without fault and without warning, and names every key', () => {
    const source = readFileSync(new URL('../../siphon.yaml', import.meta.url), 'utf8')
    const result = parseConfig('siphon.yaml', source, {})
    assert.ok(result.ok)
    assert.deepEqual(result.warnings, [])
    const uncommented = source.replace(/^(\s*)# (?=\s*[a-z_]+:(?: |$))/gm, '$1')
    const all = parseConfig(
      'siphon.yaml',
      uncommented
        .replace('backend: file ', 'backends: [file, http, syslog] ')
        .replaceAll(/transport: udp/g, 'transport: tls'),
      { CDR_TOKEN: 't', HEP_KEY: 'k' },
    )
    assert.ok(all.ok, all.ok ? '' : all.faults.map(formatFault).join('\n'))
    // Whatever is wrong, wherever: it is said, and the other checks find their way around it.
    const whole = parse(uncommented) as Tree
    const places = placesIn(whole)
    assert.ok(places.length > 100)
    for (const place of places) {
      for (const wrong of [[{ x: 1 }], -1]) {
        const [block = ''] = place
        const spoilt: Tree = structuredClone({ script: whole['script'], [block]: whole[block] })
        const last = place.at(-1) as string
        const owner = place.slice(0, -1).reduce((o, key) => o[key] as Tree, spoilt)
        owner[last] = wrong
        assert.doesNotThrow(() => parseConfig('f', JSON.stringify(spoilt), {}), place.join('.'))
      }
    }
  })
})
