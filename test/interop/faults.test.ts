import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { cpuSeconds, missing, root, start, until } from '../support/programs.ts'
import { node, RawPhone, requestText, type Siphon, startSiphon } from '../support/siphon.ts'

/** Faults of the machine that have no other test; docs/security.md has the list of all. */
const answerAll = `import { proxy, registrar } from 'siphon'
proxy.onRequest((request) => (request.method === 'REGISTER' ? registrar.save(request) : request.reply(200)))
`

describe('faults of the machine', () => {
  let siphon: Siphon
  let phone: RawPhone
  before(async () => {
    siphon = await startSiphon({ script: answerAll })
    phone = await RawPhone.open()
  })
  after(async () => {
    phone.close()
    await siphon.stop('SIGKILL')
  })
  const alive = async (): Promise<void> =>
    assert.equal(await phone.ask(requestText('OPTIONS', 'sip:x@127.0.0.1'), siphon.sip), 200)

  it('F52, F55: stopped for a while under load, it goes on, keeps its bindings, and says what the kernel dropped', async () => {
    const register = requestText('REGISTER', 'sip:127.0.0.1', { to: 'sip:stays@127.0.0.1' })
    assert.equal(await phone.ask(register, siphon.sip), 200)
    siphon.process.child.kill('SIGSTOP')
    try {
      // More than the buffer can hold: 4 MiB, and every datagram costs at least 768 bytes of it.
      const args = ['127.0.0.2', String(siphon.sip), '20000', '1.5', 'x'.repeat(1_000)]
      const flood = start(node, [`${root}/test/support/flood.ts`, ...args])
      await flood.exited
    } finally {
      siphon.process.child.kill('SIGCONT')
    }
    await until(
      'the drops to be told',
      async () => (await siphon.metric('siphon_udp_kernel_drops_total')) > 0,
    )
    await alive()
    assert.equal((await siphon.admin('/admin/registrations/stays@127.0.0.1')).status, 200)
    const first = await siphon.metric('siphon_udp_kernel_drops_total')
    await alive()
    assert.equal(await siphon.metric('siphon_udp_kernel_drops_total'), first)
  })

  it(
    'F56: out of file descriptors, datagrams are served, and connections again when some are free',
    { skip: missing('prlimit') },
    async () => {
      const pid = siphon.process.pid
      execFileSync('prlimit', ['--pid', String(pid), '--nofile=100:20000'])
      const peers: Socket[] = []
      for (let i = 0; i < 200; i++) {
        const peer = connect(siphon.sip, '127.0.0.1')
        peer.on('error', () => undefined)
        peers.push(peer)
      }
      // What cannot be accepted stays in the kernel's queue: asking for it over and over would take a whole core.
      const [cpu, begun] = [cpuSeconds(pid), performance.now()]
      await new Promise((done) => setTimeout(done, 1_000))
      for (let i = 0; i < 20; i++) await alive()
      const share = (cpuSeconds(pid) - cpu) / ((performance.now() - begun) / 1_000)
      assert.ok(share < 0.5, `${share} of a core`)
      for (const peer of peers) peer.destroy()
      execFileSync('prlimit', ['--pid', String(pid), '--nofile=20000:20000'])
      await until('all to end', async () => (await siphon.sum('siphon_connections_active')) === 0)
      const peer = connect(siphon.sip, '127.0.0.1')
      let text = ''
      peer.on('data', (bytes) => (text += bytes.toString('latin1')))
      peer.write(requestText('OPTIONS', 'sip:x@127.0.0.1').replaceAll('OWN', '127.0.0.1:9'))
      await until('an answer', () => text.startsWith('SIP/2.0 200'))
      peer.destroy()
      await alive()
    },
  )

  it('F62: large datagrams are answered, never passed over in silence', async () => {
    for (const size of [1_300, 9_000, 30_000, 60_000, 64_900]) {
      const text = requestText('MESSAGE', 'sip:x@127.0.0.1', { body: 'x'.repeat(size) })
      const code = await phone.ask(text, siphon.sip)
      assert.ok([200, 413, 513].includes(code), `${size}: ${code}`)
    }
  })
})
