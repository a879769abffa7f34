import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { scratch } from '../support/cdr.ts'
import { tracedSpine } from '../support/hep.ts'
import { crossed, inviteText } from '../support/messages-crossed.ts'
import { missing, start, until, type Running } from '../support/programs.ts'
import { recordsLab } from '../support/records-lab.ts'

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => void socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => void socket.close(resolve))
  return port
}

/** True when something has bound the UDP port. */
function bound(port: number): boolean {
  const { stdout } = spawnSync('cat', ['/proc/net/udp'], { encoding: 'utf8' })
  return stdout.includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} `)
}

const at = Date.UTC(2026, 5, 1, 12, 0, 0) + 123.456

interface Sngrep {
  readonly port: number
  readonly sngrep: Running
  /** Call-ID, addresses and time of each message in its file, a line each. */
  read(): string[]
}

async function startSngrep(t: TestContext): Promise<Sngrep> {
  const port = await freeUdpPort()
  const pcap = join(scratch(t), 'out.pcap')
  const sngrep = start('sngrep', ['-N', '-q', '-F', '-L', `udp:127.0.0.1:${port}`, '-O', pcap])
  t.after(() => sngrep.stop())
  await until('sngrep to listen', () => bound(port))
  const read = (): string[] => {
    if (!existsSync(pcap)) return []
    const fields = ['sip.Call-ID', 'ip.src', 'ip.dst', 'frame.time_epoch'].flatMap((f) => ['-e', f])
    const { stdout } = spawnSync('tshark', ['-r', pcap, '-Y', 'sip', '-T', 'fields', ...fields], {
      encoding: 'utf8',
    })
    return stdout.trim().split('\n')
  }
  return { port, sngrep, read }
}

interface Sipcapture {
  readonly port: number
  readonly kamailio: Running
  /** A line for each packet: source, transport, method or status, Call-ID, length. */
  got(): string[]
}

async function startSipcapture(t: TestContext): Promise<Sipcapture> {
  const port = await freeUdpPort()
  const dir = scratch(t)
  mkdirSync(join(dir, 'db'))
  writeFileSync(join(dir, 'db/version'), 'table_name(string) table_version(int)\nsip_capture:4\n')
  const config = join(dir, 'kamailio.cfg')
  writeFileSync(
    config,
    `debug=2
log_stderror=yes
fork=no
children=1
listen=udp:127.0.0.1:${port}
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "db_text.so"
loadmodule "sipcapture.so"
modparam("sipcapture", "db_url", "text://${dir}/db")
modparam("sipcapture", "hep_capture_on", 1)
request_route {
  xlog("L_ERR", "GOT $si:$sp $proto $rm $ci $ml\\n");
  drop;
}
reply_route {
  xlog("L_ERR", "GOT $si:$sp $proto $rs $ci $ml\\n");
  drop;
}
`,
  )
  const kamailio = start('kamailio', ['-f', config, '-DD', '-E', '-m', '16', '-M', '4', '-Y', dir], {
    cwd: dir,
  })
  t.after(() => kamailio.stop())
  await until('Kamailio to listen', () => bound(port)).catch((error: Error) => {
    throw new Error(`${error.message}\n${kamailio.output()}`)
  })
  return { port, kamailio, got: () => kamailio.output().match(/GOT .*/g) ?? [] }
}

/** One call through the real server, traced to this port. Gives its Call-ID, the server and the messages that crossed it. */
async function tracedCall(
  t: TestContext,
  port: number,
): Promise<{ callId: string; messages: number; sip: number }> {
  const lab = await recordsLab({
    yaml: `tracing: { hep: { endpoint: "127.0.0.1:${port}", agent_id: real } }`,
  })
  t.after(() => lab.close())
  const call = lab.call()
  const ok = await call.final()
  await call.bye(ok)
  await lab.record(call, { answered: true, response_code: 200, disconnect_initiator: 'caller' })
  const { siphon } = lab
  const messages = (await siphon.sum('siphon_requests_total')) + (await siphon.sum('siphon_responses_total'))
  return { callId: call.callId, messages, sip: siphon.sip }
}

describe('programs that receive HEP', () => {
  it('sngrep reads our packets', { skip: missing('sngrep', 'tshark') }, async (t) => {
    const { port, read, sngrep } = await startSngrep(t)
    const { spine, exporter } = tracedSpine(t, port, 'udp')
    for (let i = 0; i < 20; i++) {
      const path = {
        protocol: i % 2 ? 'tcp' : 'udp',
        local: { host: '192.0.2.1', port: 5060 },
        remote: { host: '192.0.2.2', port: 5062 },
      } as const
      spine.messageReceived.publish(crossed(`sngrep-${i}`, inviteText(`sngrep-${i}`), path, at))
    }
    assert.equal(await exporter.flush(5000), true)
    await until('20 messages in its file', () => read().length === 20, 20_000).finally(() =>
      sngrep.stop('SIGTERM'),
    )
    const rows = read().map((row) => row.split('\t'))
    assert.deepEqual(rows.map((r) => r[0]).sort(), Array.from({ length: 20 }, (_, i) => `sngrep-${i}`).sort())
    for (const [, source, destination, time] of rows) {
      assert.deepEqual([source, destination], ['192.0.2.2', '192.0.2.1'])
      assert.equal(Number(time).toFixed(6), (at / 1000).toFixed(6))
    }
  })

  it("Kamailio's sipcapture reads our packets", { skip: missing('kamailio') }, async (t) => {
    const { port, got, kamailio } = await startSipcapture(t)
    const { spine, exporter } = tracedSpine(t, port, 'udp')
    const path = {
      protocol: 'udp',
      local: { host: '192.0.2.1', port: 5060 },
      remote: { host: '192.0.2.2', port: 5062 },
    } as const
    for (let i = 0; i < 10; i++) {
      const fact = crossed(`kam-${i}`, inviteText(`kam-${i}`), path, at)
      if (i % 2 === 0) spine.messageReceived.publish(fact)
      else spine.messageSent.publish(fact)
    }
    assert.equal(await exporter.flush(5000), true)
    await until('10 messages', () => got().length === 10).catch((error: Error) => {
      throw new Error(`${error.message}\n${kamailio.output()}`)
    })
    for (const [i, line] of got().entries()) {
      assert.match(line, new RegExp(`INVITE kam-${i} ${inviteText(`kam-${i}`).length}$`))
      assert.ok(line.startsWith(i % 2 === 0 ? 'GOT 192.0.2.2:5062 udp ' : 'GOT 192.0.2.1:5060 udp '), line)
    }
  })
  it('sngrep reads a call through the real server', { skip: missing('sngrep', 'tshark') }, async (t) => {
    const { port, read, sngrep } = await startSngrep(t)
    const { callId, messages } = await tracedCall(t, port)
    await until('every message in its file', () => read().length === messages, 20_000).finally(() =>
      sngrep.stop('SIGTERM'),
    )
    assert.ok(messages >= 13, String(messages))
    assert.deepEqual(new Set(read().map((row) => row.split('\t')[0])), new Set([callId]))
  })

  it(
    "Kamailio's sipcapture reads a call through the real server",
    { skip: missing('kamailio') },
    async (t) => {
      const { port, got, kamailio } = await startSipcapture(t)
      const { callId, messages, sip } = await tracedCall(t, port)
      await until('every message', () => got().length === messages).catch((error: Error) => {
        throw new Error(`${error.message}\n${kamailio.output()}`)
      })
      assert.ok(got().every((line) => line.includes(` udp `) && line.includes(` ${callId} `)))
      // As many left us as came in: a proxy passes on, and answers the INVITE with a 100 of its own.
      const ours = got().filter((line) => line.startsWith(`GOT 127.0.0.1:${sip} `))
      assert.equal(ours.length, messages - ours.length + 1)
    },
  )
})
