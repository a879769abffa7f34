import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ContactView, Outcome } from '../../src/core/verdict.ts'
import { job, response, rig, until, type Asked } from './support.ts'

const decision = (outcome: Outcome) => {
  assert.ok(outcome.ok, JSON.stringify(outcome))
  return outcome.decision
}
const contactView = (of: Partial<ContactView>): ContactView => ({
  uri: 'sip:alice@192.0.2.1',
  q: 1,
  expires: 60,
  received: '',
  userAgent: null,
  ageSecs: 0,
  path: [],
  instance: null,
  regId: null,
  reference: '7 sip:alice@example.com',
  ...of,
})
const verdict = (outcome: Outcome) => decision(outcome).verdict

describe('a script decides by what its handlers return', () => {
  it('the script of the contract', async (t) => {
    const alice = contactView({ uri: 'sip:alice@10.0.0.5:5062', received: '10.0.0.5:5062' })
    const r = await rig(
      t,
      `import { proxy, registrar, metrics, cdr, log, timer } from 'siphon'
      const calls = metrics.counter('calls_total', 'Calls processed', { labels: ['direction', 'result'] })
      const setup = metrics.histogram('call_setup_seconds', 'INVITE to 200 latency', { buckets: [0.1, 0.25, 0.5, 1, 2.5, 5] })
      const active = metrics.gauge('calls_active', 'Active calls', { labels: ['direction'] })
      proxy.onRequest(async (request) => {
        if (request.method === 'REGISTER') return registrar.save(request)
        if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
        if (request.method === 'INVITE') {
          calls.labels({ direction: 'inbound', result: 'ok' }).inc()
          cdr.write(request, { extra: { billing_id: 'B-12345' } })
          request.recordRoute()
        }
        const contacts = await registrar.lookup(request.ruri)
        return contacts.length > 0 ? request.fork(contacts) : request.reply(404, 'Not Found')
      })
      timer.every(30, async () => { log.info('healthy') }, { name: 'health', jitter: 5 })`,
      { contacts: (uri) => (uri.includes('alice') ? [alice] : []) },
    )
    assert.ok(r.started.ok, JSON.stringify(r.started))
    assert.deepEqual(verdict(await r.run(job({ method: 'REGISTER' }))), { do: 'save' })
    assert.deepEqual(verdict(await r.run(job({ method: 'BYE', toTag: 'b' }))), { do: 'relay', target: null })
    const found = decision(await r.run(job({ uri: 'sip:alice@example.com' })))
    assert.deepEqual(found, {
      verdict: {
        do: 'fork',
        targets: ['sip:alice@10.0.0.5:5062'],
        contacts: ['7 sip:alice@example.com'],
        strategy: 'parallel',
      },
      edits: [],
      recordRoute: true,
      cdr: '{"billing_id":"B-12345"}',
      authUser: null,
    })
    const missing = verdict(await r.run(job({ method: 'MESSAGE' })))
    assert.deepEqual(missing, {
      do: 'reply',
      code: 404,
      reason: 'Not Found',
      headers: [],
      body: null,
      contentType: null,
    })
    assert.equal(r.lookups(), 2, 'the contacts of the Request-URI travel with the job')
    assert.equal(r.reader.value('calls_total', { direction: 'inbound', result: 'ok' }), 1)
    assert.equal(r.host.handles('request', 'INVITE'), true)
    assert.equal(r.host.handles('reply', 'INVITE'), false)
    assert.deepEqual(r.host.manifest.timers.length, 1)
    assert.deepEqual(r.failed, [])
  })

  it('reads and changes the request, in order', async (t) => {
    const r = await rig(
      t,
      `import { proxy, registrar } from 'siphon'
      proxy.onRequest('INVITE|message', async (request) => {
        request.setHeader('X-Seen', [request.method, request.ruri, request.fromUri, request.toUri, request.fromTag, request.toTag,
          request.callId, request.cseq.number, request.cseq.method, request.inDialog, request.maxForwards, request.body.length,
          request.bodyText, request.contentType, request.transport, request.sourceIp, request.sourcePort, request.userAgent,
          request.contactExpires, request.event].join(' '))
        request.addHeader('X-Name', 'Jürgen')
        request.removeHeader('subject')
        request.setRuriUser('carol'); request.setRuriHost('example.net:5080')
        request.setBody('grüß', 'text/plain')
        request.authUser = 'alice'
        const other = await registrar.lookup('sip:zoë@example.com')
        return request.relay(other[0]?.uri)
      })
      proxy.onRequest((request) => request.reply(480, 'nö', { headers: { 'X-A': ['1', '2'] }, body: 'späť' }))`,
      {
        contacts: (uri) =>
          uri === 'sip:zo\xc3\xab@example.com'
            ? [contactView({ uri: 'sip:zo\xc3\xab@192.0.2.9', expires: 9, userAgent: 'x' })]
            : [],
      },
    )
    const asked: Asked = {
      headers: [
        ['Event', 'presence;id=1'],
        ['s', 'hello'],
        ['Content-Type', 'application/sdp'],
      ],
      body: 'v=0',
      callId: 'c1',
    }
    const made = decision(await r.run(job(asked)))
    assert.deepEqual(made.edits, [
      [
        'set',
        'X-Seen',
        'INVITE sip:bob@example.com sip:alice@example.com sip:bob@example.com a1  c1 1 INVITE false 70 3 v=0 application/sdp udp 192.0.2.1 5062 phone/1 600 presence',
      ],
      ['add', 'X-Name', 'J\xc3\xbcrgen'],
      ['remove', 'subject'],
      ['ruri', 'sip:carol@example.com'],
      ['ruri', 'sip:carol@example.net:5080'],
      ['body', 'gr\xc3\xbc\xc3\x9f', 'text/plain'],
    ])
    assert.deepEqual(made.verdict, { do: 'relay', target: 'sip:zo\xc3\xab@192.0.2.9' })
    assert.equal(made.authUser, 'alice')
    const refused = verdict(await r.run(job({ method: 'OPTIONS' })))
    assert.deepEqual(refused, {
      do: 'reply',
      code: 480,
      reason: 'n\xc3\xb6',
      headers: [
        ['X-A', '1'],
        ['X-A', '2'],
      ],
      body: 'sp\xc3\xa4\xc5\xa5',
      contentType: 'text/plain',
    })
  })

  it('several handlers: each may pass on with next()', async (t) => {
    const r = await rig(
      t,
      `import { proxy } from 'siphon'
      proxy.onRequest((request) => { request.setHeader('X-First', '1'); return request.next() })
      proxy.onRequest('INVITE', (request) => request.reply(486))
      proxy.onRequest('BYE', async (request) => request.next())`,
    )
    const made = decision(await r.run(job()))
    assert.equal(made.verdict.do === 'reply' && made.verdict.code, 486)
    assert.deepEqual(made.edits, [['set', 'X-First', '1']])
    const none = await r.run(job({ method: 'BYE' }))
    assert.deepEqual(none, {
      ok: false,
      reason: 'no_verdict',
      what: 'every matching handler passed on with next()',
    })
  })

  it('replies, failures and cancels', async (t) => {
    const r = await rig(
      t,
      `import { proxy, log } from 'siphon'
      proxy.onReply((request, reply) => {
        reply.setHeader('X-From', request.fromUri)
        reply.setHeader('X-After', reply.elapsedSeconds)
        if (reply.statusCode === 183) return reply.drop()
        return reply.statusCode === 199 ? reply.reject(603, 'no') : reply.relay()
      })
      proxy.onFailure((request, reply) => reply.statusCode === 486 ? request.relay('sip:voicemail@example.com') : reply.relay())
      proxy.onCancel((request) => { log.info('cancelled ' + request.callId, { odd: () => 1 }) })`,
    )
    const reply = (status: number) =>
      r.run(job({ kind: 'reply', response: response(status, 'x'), elapsedMs: 1_250 }))
    const passed = decision(await reply(200))
    assert.deepEqual(
      [passed.verdict, passed.edits],
      [
        { do: 'pass' },
        [
          ['set', 'X-From', 'sip:alice@example.com'],
          ['set', 'X-After', '1.25'],
        ],
      ],
    )
    assert.deepEqual(verdict(await reply(183)), { do: 'drop' })
    assert.deepEqual(verdict(await reply(199)), { do: 'reject', code: 603, reason: 'no' })
    const failure = (status: number) => r.run(job({ kind: 'failure', response: response(status, 'x') }))
    assert.deepEqual(verdict(await failure(486)), { do: 'relay', target: 'sip:voicemail@example.com' })
    assert.deepEqual(verdict(await failure(480)), { do: 'pass' })
    assert.deepEqual(verdict(await r.run(job({ kind: 'cancel', callId: 'c9' }))), { do: 'pass' })
    await until(() => r.lines.some((l) => /cancelled c9/.test(l.text)))
    assert.deepEqual(
      r.jobs.map((j) => j.handler),
      ['onReply', 'onReply', 'onReply', 'onFailure', 'onFailure', 'onCancel'],
    )
  })
})

describe('a script that does what it must not costs its request a failure that names it', () => {
  it('a request that has been forwarded cannot be changed in any way', async (t) => {
    const setters = [
      'setHeader("X", "1")',
      'setBody("x", "text/plain")',
      'setRuri("sip:b@c")',
      'setRuriUser("b")',
      'setRuriHost("c")',
      'setFromUri("sip:b@c")',
      'setToDisplay("b")',
      'setContactUser("b")',
      'prependRoute("sip:b@c")',
      'fixNatedContact()',
    ]
    const cases = setters.map((call, i) => `case '${i}': request.${call}; break`).join('\n')
    const r = await rig(
      t,
      `import { proxy } from 'siphon'
      proxy.onReply(((request: any, reply: any) => {
        switch (request.getHeader('X-Case')) { ${cases} }
        return reply.relay()
      }) as any)`,
    )
    assert.ok(r.started.ok, JSON.stringify(r.started))
    for (const [i, call] of setters.entries()) {
      const headers = [['X-Case', String(i)]] as const
      const outcome = await r.run(job({ kind: 'reply', response: response(200, 'x'), headers }))
      assert.ok(!outcome.ok, call)
      assert.match(outcome.what, /has been forwarded already: change the reply/, call)
    }
  })

  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['throw', 'throw new TypeError("boo")', /TypeError: boo/],
    ['reject', 'return Promise.reject(new Error("boo"))', /Error: boo/],
    ['throw no error', 'throw 7', /threw 7/],
    ['CRLF in a header', 'request.setHeader("X", "a\\r\\nVia: x"); return request.relay()', /line break/],
    ['NUL in a header', 'request.addHeader("X", "a\\0"); return request.relay()', /NUL/],
    ['CRLF in a reason', 'return request.reply(400, "a\\r\\nb")', /one line/],
    ['CRLF in a reply header', 'return request.reply(400, "a", { headers: { "X": "a\\nb" } })', /line break/],
    ['a bad header name', 'request.setHeader("X Y", "a"); return request.relay()', /not a header name/],
    ['Via', 'request.removeHeader("v"); return request.relay()', /Via|v cannot be changed/],
    ['CSeq', 'request.setHeader("CSeq", "1 BYE"); return request.relay()', /CSeq cannot be changed/],
    ['Call-ID', 'request.setHeader("i", "1"); return request.relay()', /cannot be changed/],
    ['From tag', 'request.setHeader("From", "<sip:x@y>;tag=other"); return request.relay()', /tag of From/],
    ['a provisional verdict', 'return request.reply(180)', /180 is not a final status/],
    ['no target', 'return request.fork([])', /at least one target/],
    ['a bad target', 'return request.relay("nonsense")', /relay: 'nonsense' is not a SIP URI/],
    ['a bad ruri', 'request.setRuriUser("a b@c"); return request.relay()', /setRuriUser/],
    [
      'BigInt extra',
      'cdr.write(request, { extra: { a: 1n } }); return request.relay()',
      /extra.a is a BigInt/,
    ],
    [
      'cyclic extra',
      'const a: any = {}; a.a = a; cdr.write(request, { extra: a }); return request.relay()',
      /refers back/,
    ],
    [
      'function extra',
      'cdr.write(request, { extra: { a: [() => 1] } }); return request.relay()',
      /extra.a\[0\] is a function/,
    ],
    [
      'undefined extra',
      'cdr.write(request, { extra: { a: undefined } }); return request.relay()',
      /extra.a is undefined/,
    ],
    ['NaN extra', 'cdr.write(request, { extra: { a: NaN } }); return request.relay()', /NaN/],
    [
      'Map extra',
      'cdr.write(request, { extra: { a: new Map() } }); return request.relay()',
      /not a plain object/,
    ],
    [
      'extra that says it is no object',
      'cdr.write(request, { extra: { toJSON: () => "a" } }); return request.relay()',
      /toJSON\(\) gives no object/,
    ],
    ['late declaration', 'proxy.onCancel(() => {}); return request.relay()', /while the script loads/],
  ]
  it('each mistake is an exception at its place', async (t) => {
    const body = cases.map(([name, code]) => `    case ${JSON.stringify(name)}: {\n ${code} }`).join('\n')
    const r = await rig(
      t,
      `import { proxy, cdr } from 'siphon'
proxy.onRequest((request) => {
  switch (request.getHeader('X-Case')) {
${body}
  }
  return request.reply(400)
})`,
    )
    for (const [name, , what] of cases) {
      const outcome = await r.run(job({ headers: [['X-Case', name]] }))
      assert.ok(!outcome.ok, name)
      assert.equal(outcome.reason, 'exception')
      assert.match(outcome.what, what, name)
      const fact = r.failed.at(-1)
      assert.match(fact?.where ?? '', /^script\.ts:\d+:\d+$/, name)
      assert.equal(fact?.handler, 'onRequest')
    }
    assert.equal(r.failed.length, cases.length)
    assert.equal(r.jobs.length, cases.length)
  })

  it('what several calls of cdr.write say adds up, in ASCII, and as it was when it was said', async (t) => {
    const r = await rig(
      t,
      `import { proxy, cdr } from 'siphon'
proxy.onRequest((request) => {
  const extra = { name: 'J\u00fcrgen', tries: [1], kept: true }
  cdr.write(request, { extra })
  extra.tries.push(2)
  if (request.method === 'INVITE') cdr.write(request, { extra: { tries: [3], city: 'K\u00f6ln \u{1f3f0}' } })
  return request.relay()
})`,
    )
    assert.equal(
      decision(await r.run(job({ method: 'MESSAGE' }))).cdr,
      '{"name":"J\\u00fcrgen","tries":[1],"kept":true}',
    )
    assert.equal(
      decision(await r.run(job())).cdr,
      '{"name":"J\\u00fcrgen","tries":[3],"kept":true,"city":"K\\u00f6ln \\ud83c\\udff0"}',
    )
  })

  it('is told by name when it begins to serve, and what it hardly means in the log', async (t) => {
    const r = await rig(
      t,
      `import { metrics, proxy } from 'siphon'
      const calls = metrics.counter('calls_total', 'Calls', { labels: ['to'] })
      proxy.onRequest('INVIT|INVITE', (request) => {
        calls.labels({ from: 'x' } as never).inc()
        return request.reply(404)
      })`,
      { limits: { poolSize: 1 } },
    )
    assert.deepEqual(r.served, [['onRequest(INVIT|INVITE)']])
    for (let i = 0; i < 2; i++) assert.ok((await r.run(job())).ok)
    const warnings = () => r.lines.filter(({ level }) => level === 'warn').map(({ text }) => text)
    await until(() => warnings().length > 1)
    assert.deepEqual(warnings(), [
      'script.ts:3:13: onRequest(INVIT|INVITE): INVIT is no method that an RFC defines; did you mean INVITE?',
      "script.ts:4:15: a use of metric 'calls_total' is ignored: wrong labels, a negative increment, or no number",
    ])
  })

  it('no verdict, a wrong one, and no handler', async (t) => {
    const r = await rig(
      t,
      `import { proxy } from 'siphon'
      proxy.onRequest('INVITE', ((request: any) => { request.relay() }) as any)
      proxy.onRequest('BYE', (() => ({ do: 'relay', target: null })) as any)
      proxy.onReply(((request: any, reply: any) => { globalThis.kept ??= reply; return reply.relay() }) as any)
      proxy.onFailure(((request: any, reply: any) => reply.reject(404)) as any)`,
    )
    const what = async (j: Parameters<typeof job>[0]) => {
      const outcome = await r.run(job(j))
      return outcome.ok ? 'ok' : [outcome.reason, outcome.what]
    }
    assert.deepEqual(await what({}), ['no_verdict', 'onRequest(INVITE) returned undefined, not a verdict'])
    assert.deepEqual(await what({ method: 'BYE' }), [
      'no_verdict',
      'onRequest(BYE) returned an object, not a verdict',
    ])
    assert.deepEqual(await what({ method: 'INFO' }), [
      'no_handler',
      'the script has no handler for this request',
    ])
    assert.deepEqual(await what({ kind: 'failure', response: response(500, 'x') }), [
      'bad_verdict',
      "onFailure cannot end with 'reject'",
    ])
    assert.match(r.failed[0]?.where ?? '', /^script\.ts:2:13$/)
  })
})
