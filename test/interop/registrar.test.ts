import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startKamailio } from '../support/kamailio.ts'
import { missing, start, until } from '../support/programs.ts'
import { registerMany } from '../support/register-many.ts'
import {
  freePort,
  node,
  RawPhone,
  requestText,
  responseText,
  type Siphon,
  startSiphon,
} from '../support/siphon.ts'

const INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'

const register = (user: string, contact: string, headers: readonly string[] = []): string =>
  requestText('REGISTER', 'sip:127.0.0.1', {
    from: `sip:${user}@127.0.0.1`,
    to: `sip:${user}@127.0.0.1`,
    headers,
  }).replace('Contact: <sip:tester@OWN>', `Contact: ${contact}`)

/** The same configuration in a new process. */
async function again(before: Siphon): Promise<{ stop: () => Promise<unknown>; output: () => string }> {
  const process = start(node, ['src/bin/siphon.ts', 'run', '-c', join(before.folder, 'siphon.yaml')])
  const ready = async (): Promise<boolean> => (await fetch(`${before.adminUrl}/admin/ready`)).status === 200
  await until('siphon to be ready again', ready, 20_000).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${process.output()}`)
  })
  return { stop: () => process.stop('SIGKILL'), output: process.output }
}

const full = process.env['SIPHON_FULL'] === '1'
const perSecond = full ? 2_000 : 500

const SQLITE = 'registrar: { backend: sqlite, sqlite: { path: "FOLDER/reg.db" } }'

describe('registrations over a restart', () => {
  it('come back after SIGKILL, and calls reach them', async () => {
    const siphon = await startSiphon({ yaml: SQLITE })
    const [bob, caller] = [await RawPhone.open(), await RawPhone.open()]
    try {
      for (let i = 0; i < 50; i++) {
        assert.equal(await bob.ask(register(`bob${i}`, '<sip:bob@OWN>;q=0.5'), siphon.sip), 200)
      }
      await until(
        'all to be written',
        async () => (await siphon.metric('siphon_registrar_store_changes_total{outcome="written"}')) === 50,
      )
      await siphon.stop('SIGKILL')
      const second = await again(siphon)
      try {
        assert.match(second.output(), /restored 50 registrations/)
        assert.equal(await siphon.metric('siphon_registrations_restored'), 50)
        assert.equal(await siphon.metric('siphon_registrations_active'), 50)
        const invite = requestText('INVITE', 'sip:bob7@127.0.0.1')
        caller.send(invite, siphon.sip)
        const got = await until('the call', () => bob.received.find((m) => m.startsWith('INVITE')))
        bob.send(responseText(got, '486 Busy Here'), siphon.sip)
        await until('the answer', () => caller.received.some((m) => m.startsWith('SIP/2.0 486')))
      } finally {
        await second.stop()
      }
    } finally {
      bob.close()
      caller.close()
      await siphon.stop('SIGKILL')
    }
  })

  it(`F51: killed under ${perSecond} REGISTER/s, it loses none that was answered a second before`, async () => {
    const siphon = await startSiphon({ yaml: SQLITE })
    const answeredAt = new Map<string, number>()
    let killed = Infinity
    try {
      const load = registerMany({
        port: siphon.sip,
        count: full ? 100_000 : 100 * perSecond,
        perSecond,
        expires: () => 3_600,
        onBound: (index) => answeredAt.set(`sip:u${index}@127.0.0.1`, performance.now()),
        over: () => killed < Infinity,
      })
      await until('some thousands', () => answeredAt.size > (full ? 60_000 : 3 * perSecond), 120_000)
      killed = performance.now()
      await siphon.stop('SIGKILL')
      await load
      const started = performance.now()
      const second = await again(siphon)
      try {
        const phone = await RawPhone.open()
        assert.equal(await phone.ask(requestText('OPTIONS', 'sip:127.0.0.1'), siphon.sip), 200)
        const took = performance.now() - started
        phone.close()
        const restored = await siphon.metric('siphon_registrations_restored')
        assert.match(second.output(), new RegExp(`restored ${restored} registrations`))
        const kept = new Set<string>()
        let path: string | null = '/admin/registrations?limit=1000'
        while (path !== null) {
          const answer: Response = await fetch(`${siphon.adminUrl}${path}`)
          for (const { aor } of (await answer.json()) as { aor: string }[]) kept.add(aor)
          path = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1] ?? null
        }
        assert.equal(kept.size, restored)
        const lost = [...answeredAt].filter(([aor]) => !kept.has(aor)).map(([, at]) => killed - at)
        console.log(
          `# ${answeredAt.size} answered, ${lost.length} lost, the oldest ${Math.max(0, ...lost).toFixed(0)} ms old; up after ${took.toFixed(0)} ms`,
        )
        assert.deepEqual(
          lost.filter((age) => age > 1_000),
          [],
        )
      } finally {
        await second.stop()
      }
    } finally {
      await siphon.stop('SIGKILL')
    }
  })

  it('a broken file is moved aside and said aloud', async () => {
    const siphon = await startSiphon({ yaml: SQLITE })
    try {
      await siphon.stop('SIGKILL')
      const junk = 'this is no database, but long enough to be looked at'.repeat(99)
      for (const name of ['reg.db', 'reg.db-wal']) writeFileSync(join(siphon.folder, name), junk)
      const second = await again(siphon)
      try {
        assert.match(second.output(), /ERROR: registrar: .*reg\.db is broken .*moved to .*corrupt-/)
        assert.equal(await siphon.metric('siphon_registrar_store_up'), 1)
      } finally {
        await second.stop()
      }
    } finally {
      await siphon.stop('SIGKILL')
    }
  })
})

describe('STUN on the SIP port', () => {
  it('tells a phone its address', async () => {
    const siphon = await startSiphon()
    const { createSocket } = await import('node:dgram')
    const socket = createSocket('udp4')
    try {
      await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))
      const request = Buffer.concat([Buffer.from('000100002112a442', 'hex'), Buffer.alloc(12, 7)])
      const answered = new Promise<Buffer>((done) => socket.once('message', done))
      socket.send(request, siphon.sip, '127.0.0.1')
      const answer = await answered
      assert.equal(answer.readUInt16BE(0), 0x0101)
      assert.equal(answer.readUInt16BE(26) ^ 0x2112, socket.address().port)
    } finally {
      socket.close()
      await siphon.stop('SIGKILL')
    }
  })
})

describe('Kamailio as edge proxy', { skip: missing('kamailio') }, () => {
  it('a phone that registered through its Path is called through it', async () => {
    const siphon = await startSiphon()
    const port = await freePort()
    const [bob, caller] = [await RawPhone.open(), await RawPhone.open()]
    const kamailio = await startKamailio('edge.cfg', {
      port,
      defines: { NEXT_HOP: `"sip:127.0.0.1:${siphon.sip}"` },
    })
    try {
      const contact = `<sip:bob@10.11.12.13:9>;${INSTANCE}`
      assert.equal(await bob.ask(register('bob', contact, ['Supported: path, gruu']), port), 200)
      const answer = bob.received.find((m) => m.startsWith('SIP/2.0 200')) ?? ''
      assert.match(answer, /^Path: <sip:127\.0\.0\.1:\d+;lr;received=sip:127\.0\.0\.1/m)
      assert.match(answer, /;pub-gruu="sip:bob@127\.0\.0\.1;gr=urn:uuid:0/)
      const [row] = (await siphon.admin('/admin/registrations')).body as {
        path?: string[]
        instance?: string
      }[]
      assert.equal(row?.path?.length, 1)
      assert.match(row?.instance ?? '', /^urn:uuid:/)
      caller.send(requestText('INVITE', 'sip:bob@127.0.0.1'), siphon.sip)
      const got = await until('the call', () => bob.received.find((m) => m.startsWith('INVITE')))
      assert.match(got, /^INVITE sip:bob@10\.11\.12\.13:9 /)
      bob.send(responseText(got, '486 Busy Here'), port)
      await until('the answer', () => caller.received.some((m) => m.startsWith('SIP/2.0 486')))
    } finally {
      bob.close()
      caller.close()
      await Promise.all([kamailio.stop(), siphon.stop('SIGKILL')])
    }
  })
})
