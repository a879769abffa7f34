import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { register } from '../../bench/subjects.ts'
import { missing, residentBytes, root, start, until } from '../support/programs.ts'
import { freePort, node, type Siphon, startSiphon } from '../support/siphon.ts'
import { type CallerResult, runCaller, startCallee } from '../support/sipp.ts'

/** SIPHON_FULL=1 runs the floods that are promised; otherwise smaller ones, on machines with other things to do. */
const full = process.env['SIPHON_FULL'] === '1'
const junkPerSecond = full ? 50_000 : 15_000
const junkSecs = full ? 20 : 4
const callsPerSecond = full ? 200 : 50
const idlers = full ? 5_000 : 500

/** Calls from 127.0.0.1, which nobody exempts, while `flood` runs. */
async function callsBeside(
  siphon: Siphon,
  seconds: number,
  flood: () => Promise<unknown>,
): Promise<{ calls: number; result: CallerResult }> {
  const calleePort = await freePort()
  const callee = startCallee(calleePort)
  try {
    await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${calleePort}`)
    const calls = callsPerSecond * seconds
    const running = runCaller({
      target: siphon.target,
      localPort: await freePort(),
      rate: callsPerSecond,
      calls,
    })
    await flood()
    return { calls, result: await running }
  } finally {
    await callee.stop('SIGKILL')
  }
}

/** The rate of good calls is within the limit: INVITE, ACK and BYE, and room for repetitions. */
const security = `security:
  rate_limit: { max_requests: ${callsPerSecond * 50}, window_secs: 10, ban_duration_secs: 600 }
  failed_auth_ban: { threshold: 1000, ban_duration_secs: 600 }
  limits: { max_connections: 8000, max_connections_per_source: 500 }`

describe('floods beside good calls', { skip: missing('sipp') }, () => {
  it(`${junkPerSecond} junk datagrams/s from one source: no good call fails, the source is banned, all is counted`, async () => {
    const siphon = await startSiphon({ yaml: security })
    try {
      const flooder = (): Promise<unknown> => {
        const args = ['127.0.0.2', String(siphon.sip), String(junkPerSecond), String(junkSecs)]
        const flood = start(node, [`${root}/test/support/flood.ts`, ...args])
        return flood.exited.then(() => (sent = Number((JSON.parse(flood.output()) as { sent: number }).sent)))
      }
      let sent = 0
      const { calls, result } = await callsBeside(siphon, junkSecs + 1, flooder)
      assert.equal(result.failed, 0)
      assert.equal(result.successful, calls)
      const bans = (await siphon.admin('/admin/bans')).body as { ip: string }[]
      assert.deepEqual(
        bans.map((b) => b.ip),
        ['127.0.0.2'],
      )
      // Parsed before the ban, dropped after it, or dropped by the kernel: nothing is unaccounted for.
      const seen =
        (await siphon.sum('siphon_malformed_messages_total')) +
        (await siphon.sum('siphon_security_drops_total')) +
        (await siphon.metric('siphon_udp_kernel_drops_total'))
      assert.ok(sent > junkPerSecond, String(sent))
      assert.ok(Math.abs(seen - sent) <= 0.01 * sent, `${seen} of ${sent}`)
    } finally {
      await siphon.stop('SIGKILL')
    }
  })

  it(`${idlers} idle connections, slow writers and slow readers: good calls do not notice, memory returns`, async () => {
    const siphon = await startSiphon({ yaml: security })
    const peers: Socket[] = []
    try {
      const resident = residentBytes(siphon.process.pid)
      const crowd = async (): Promise<void> => {
        for (let i = 0; i < idlers; i++) {
          const peer = connect({
            port: siphon.sip,
            host: '127.0.0.1',
            localAddress: `127.0.${20 + (i % 50)}.1`,
          })
          peer.on('error', () => undefined)
          peers.push(peer)
          // A fifth drips a message, a tenth asks and never reads.
          if (i % 5 === 0) peer.write('OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nSubject: ')
          if (i % 10 === 1) {
            peer.pause()
            peer.write('OPTIONS sip:x SIP/2.0\r\nl: 0\r\n\r\n'.repeat(50))
          }
          if (i % 50 === 49) await new Promise((done) => setTimeout(done, 20))
        }
        await until(
          'the crowd',
          async () => (await siphon.sum('siphon_connections_active')) >= idlers * 0.8,
          20_000,
        )
        for (let i = 0; i < (full ? 60 : 10); i++) {
          for (let p = 0; p < peers.length; p += 5) peers[p]?.write('x')
          await new Promise((done) => setTimeout(done, 200))
        }
      }
      const { calls, result } = await callsBeside(siphon, full ? 20 : 5, crowd)
      assert.equal(result.failed, 0)
      assert.equal(result.successful, calls)
      assert.ok(residentBytes(siphon.process.pid) - resident < 256e6)
      for (const peer of peers) peer.destroy()
      await until(
        'all connections to end',
        async () => (await siphon.sum('siphon_connections_active')) === 0,
        20_000,
      )
      assert.equal((await siphon.admin('/admin/health')).status, 200)
    } finally {
      for (const peer of peers) peer.destroy()
      await siphon.stop('SIGKILL')
    }
  })

  it('requests of 250 sources at once: it answers or sheds, stays up, forgets them and gives the memory back', async () => {
    const siphon = await startSiphon({ yaml: security })
    try {
      const attack = start('python3', [
        `${root}/test/interop/tools/attack.py`,
        ...['flood', '--target', siphon.target, '-n', full ? '200000' : '6000'],
        ...['--rate', full ? '8000' : '1500', '--secs', full ? '30' : '5'],
        // Few enough do not have to be forgotten first.
        ...['--pid', String(siphon.process.pid), '--settle', full ? '40' : '6'],
      ])
      assert.equal(await attack.exited, 0, attack.output())
    } finally {
      await siphon.stop('SIGKILL')
    }
  })
})
