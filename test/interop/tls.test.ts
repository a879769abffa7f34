import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { certificate } from '../support/certificate.ts'
import { missing, root, type Running, start, until } from '../support/programs.ts'
import { freePort, requestText, startSiphon } from '../support/siphon.ts'

const folder = mkdtempSync(join(tmpdir(), 'siphon-tls-'))
const made = (name: string) => {
  const files = certificate(folder, name, '127.0.0.1')
  assert.ok(files)
  return files
}

const full = process.env['SIPHON_FULL'] === '1'
const crowd = full ? 1_000 : 300

/** What openssl says when it connects; ended at once, or with what it is to be typed. */
function openssl(port: number, ...given: (string | { readonly input: string })[]): string {
  const args = given.filter((arg) => typeof arg === 'string')
  const input = given.find((arg) => typeof arg !== 'string')?.input ?? ''
  const done = spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...args], {
    input,
    encoding: 'utf8',
    timeout: 10_000,
  })
  return done.stdout + done.stderr
}

/** An OPTIONS over a connection of its own: all that came back. */
function optionsByTls(port: number): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () =>
      socket.write(
        requestText('OPTIONS', 'sip:x@127.0.0.1').replace('/UDP OWN', '/TLS h').replaceAll('OWN', 'h'),
      ),
    )
    socket.on('error', fail)
    socket.on('data', (bytes) => {
      socket.destroy()
      done(bytes.toString('latin1'))
    })
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer in 5 s')))
  })
}

/** Bytes that are no handshake: whether the server ends the connection. */
function saidTo(port: number, bytes: Buffer): Promise<string> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('error', () => undefined)
    socket.on('data', () => undefined)
    socket.on('close', () => done('ended'))
    socket.setTimeout(9_000, () => done('still open'))
  })
}

describe('TLS with real programs', () => {
  it(
    'openssl sees the certificate of the name it asks for, no old version, and new files without a restart',
    { skip: missing('openssl') },
    async (t) => {
      const [a, b, c] = [made('a.example'), made('b.example'), made('c.example')]
      const [cert, key] = [join(folder, 'live.pem'), join(folder, 'live.key')]
      copyFileSync(a.certFile, cert)
      copyFileSync(a.keyFile, key)
      const port = await freePort()
      const siphon = await startSiphon({
        listen: `tls: ["127.0.0.1:${port}"]`,
        yaml: `tls: { certificate: "${cert}", private_key: "${key}", certificates: [{ server_name: [b.example], certificate: "${b.certFile}", private_key: "${b.keyFile}" }] }`,
      })
      t.after(() => siphon.stop('SIGKILL'))
      const subject = (name: string): string =>
        /subject=(.*)/.exec(openssl(port, '-servername', name))?.[1] ?? ''
      assert.match(subject('a.example'), /CN ?= ?a\.example/)
      assert.match(subject('b.example'), /CN ?= ?b\.example/)
      assert.match(subject('else.example'), /CN ?= ?a\.example/)
      assert.match(openssl(port, '-tls1_2'), /Protocol *: TLSv1\.2/)

      const failures = 'siphon_handshake_failures_total{transport="tls"}'
      const before = await siphon.metric(failures)
      openssl(port, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')
      await until('the failure to be counted', async () => (await siphon.metric(failures)) > before)

      // A certificate whose key is not there yet: the old one serves on, and the log says why.
      writeFileSync(cert, c.cert)
      await until('the reason', () =>
        /old certificates stay in use: tls\.private_key/.test(siphon.process.output()),
      )
      assert.match(subject('a.example'), /CN ?= ?a\.example/)
      writeFileSync(key, c.key)
      await until('the new one', () => /CN ?= ?c\.example/.test(subject('a.example')))
      const expiry = await siphon.metric('siphon_tls_certificate_expiry_seconds{server_name="default"}')
      assert.ok(expiry > Date.now() / 1000 && expiry < Date.now() / 1000 + 3 * 86_400)
    },
  )

  it('baresip calls baresip over TLS and hangs up', { skip: missing('baresip', 'openssl') }, async (t) => {
    const ours = made('siphon.example')
    const port = await freePort()
    const siphon = await startSiphon({
      listen: `tls: ["127.0.0.1:${port}"]`,
      yaml: `tls: { certificate: "${ours.certFile}", private_key: "${ours.keyFile}" }`,
    })
    t.after(() => siphon.stop('SIGKILL'))
    const phone = async (user: string, ...args: string[]): Promise<Running> => {
      const home = mkdtempSync(join(tmpdir(), 'baresip-'))
      const modules = ['module g711.so', 'module aubridge.so']
      const config = [
        'module_path /usr/lib/baresip/modules',
        ...modules,
        'module_tmp account.so',
        'module_app menu.so',
        `sip_listen 127.0.0.1:${await freePort()}`,
        'sip_verify_server no',
        `audio_source aubridge,${user}`,
        `audio_player aubridge,${user}`,
        'audio_alert aubridge,alert',
      ]
      writeFileSync(join(home, 'config'), `${config.join('\n')}\n`)
      const proxy = `sip:127.0.0.1:${port};transport=tls`
      const account = `<sip:${user}@example.com;transport=tls>;outbound="${proxy}";regint=60;answermode=auto\n`
      writeFileSync(join(home, 'accounts'), account)
      writeFileSync(join(home, 'contacts'), '')
      const running = start('baresip', ['-f', home, ...args])
      t.after(() => running.stop('SIGKILL'))
      return running
    }
    const registrations = (): Promise<number> => siphon.metric('siphon_registrations_active')
    const bob = await phone('bob')
    await until('bob to be registered', async () => (await registrations()) === 1)
    const alice = await phone('alice', '-e', 'd sip:bob@example.com', '-t', '6')
    await until('the record', () => siphon.records().length === 1).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${alice.output()}\n${bob.output()}`)
    })
    const [record] = siphon.records()
    assert.equal(record?.['transport'], 'tls')
    assert.equal(record?.['response_code'], 200)
    assert.equal(record?.['disconnect_initiator'], 'caller')
    const requests = 'siphon_requests_total{method="INVITE",direction="out",transport="tls"}'
    assert.equal(await siphon.metric(requests), 1)
  })

  it(
    `S28, F60: ${crowd} half handshakes: each is ended, and whoever means it is served meanwhile`,
    { skip: missing('openssl', 'python3') },
    async (t) => {
      const ours = made('crowd.example')
      const port = await freePort()
      const siphon = await startSiphon({
        listen: `tls: ["127.0.0.1:${port}"]`,
        yaml: `tls: { certificate: "${ours.certFile}", private_key: "${ours.keyFile}" }`,
      })
      t.after(() => siphon.stop('SIGKILL'))
      const tool = `${root}/test/interop/tools/attack.py`
      // Its own pings are by UDP and TCP; ours are by TLS.
      const attack = start('python3', [
        ...[tool, 'tlspartial', '-n', String(crowd), '--secs', '8', '--target', siphon.target],
        ...['--tls-port', String(port), '--pid', String(siphon.process.pid)],
      ])
      const refused = 'siphon_handshake_failures_total{transport="tls"}'
      let slowest = 0
      let asked = 0
      for (let over = false; !over; asked++) {
        const begun = performance.now()
        assert.match(await optionsByTls(port), /^SIP\/2\.0 [2-6]/)
        slowest = Math.max(slowest, performance.now() - begun)
        over = await Promise.race([
          attack.exited.then(() => true),
          new Promise<boolean>((done) => setTimeout(() => done(false), 200)),
        ])
      }
      assert.equal(await attack.exited, 0, attack.output())
      const result = JSON.parse(attack.output().trim()) as { opened: number; closed_by_server: number }
      assert.deepEqual([result.opened, result.closed_by_server], [crowd, crowd])
      assert.ok(asked > 10 && slowest < 1_000, `${asked} asked, the slowest took ${slowest} ms`)
      assert.equal(await siphon.metric(refused), crowd)

      // Weaker than it should be, and what is no ClientHello: no session, and counted.
      assert.doesNotMatch(openssl(port, '-tls1_2', '-cipher', 'NULL:@SECLEVEL=0'), /Cipher is [A-Z]/)
      const name = 'x'.repeat(65_000)
      assert.equal(
        await saidTo(port, Buffer.from(`\x16\x03\x01\xff\xff\x01\x00\xff\xfb${name}`, 'latin1')),
        'ended',
      )
      assert.equal(await saidTo(port, Buffer.from('OPTIONS sip:x SIP/2.0\r\n\r\n')), 'ended')
      // A client that wants to begin anew within a session: there is no renegotiation.
      const again = openssl(port, '-tls1_2', { input: 'R\n' })
      assert.match(again, /no renegotiation|NO_RENEGOTIATION|:error:/)
      assert.equal((await siphon.admin('/admin/health')).status, 200)
    },
  )

  it('check says which file does not serve, and where it is named', { skip: missing('openssl') }, () => {
    const [a, b] = [made('one.example'), made('two.example')]
    writeFileSync(
      join(folder, 's.ts'),
      "import { proxy } from 'siphon'\nproxy.onRequest((r) => r.reply(404))\n",
    )
    const config = join(folder, 'check.yaml')
    writeFileSync(
      config,
      `script: { path: s.ts }\nlisten: { tls: ["127.0.0.1:0"] }\ntls:\n  certificate: "${a.certFile}"\n  private_key: "${b.keyFile}"\n  ca: "nowhere.pem"\n`,
    )
    const done = spawnSync('node', ['src/bin/siphon.ts', 'check', '-c', config], { encoding: 'utf8' })
    assert.equal(done.status, 78)
    const text = done.stdout + done.stderr
    assert.match(text, /check\.yaml:5:16 tls\.private_key — is not the key of the certificate/)
    assert.match(text, /check\.yaml:6:7 tls\.ca — names a file that is not there/)
  })
})
