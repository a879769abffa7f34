import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseMessage } from '../../src/sip/message/parse.ts'
import { root, until } from '../support/programs.ts'
import { requestText, responseText, type Siphon, startSiphon } from '../support/siphon.ts'

/** What a user agent behind the proxy gets to see of each message of RFC 4475: nothing, or something sound. */
const corpus = join(root, 'test/fixtures/rfc4475')
const names = readdirSync(corpus)
  .filter((file) => file.endsWith('.dat'))
  .map((file) => file.slice(0, -4))
const read = (name: string): string => readFileSync(join(corpus, `${name}.dat`), 'latin1')

/** Relays whatever it is asked about. */
const script = (port: number): string => `import { proxy } from 'siphon'
proxy.onRequest((request) =>
  request.relay('sip:127.0.0.1:${port}' + (request.ruri.user === 'tcp' ? ';transport=tcp' : '')),
)
`
/**
 * Refused by RFC 4475, or so broken that the start line would have to be guessed: not forwarded. `escruri` would have a header
 * of the Request-URI become one of the message, where §19.1.1 allows none.
 */
const NEVER = [
  'escruri',
  'trws',
  'zeromf',
  'badinv01',
  'ncl',
  'quotbal',
  'ltgtruri',
  'lwsruri',
  'lwsstart',
  'badvers',
  'mcl01',
  'clerr',
  'scalar02',
  'scalarlg',
  'mismatch01',
  'mismatch02',
  'unkscm',
  'novelsc',
  'baddn',
  'bcast',
  'multi01',
  'insuf',
]

describe('RFC 4475 through the proxy', () => {
  let siphon: Siphon
  let uas: Socket
  let caller: Socket
  const received: string[] = []
  before(async () => {
    ;[uas, caller] = [createSocket('udp4'), createSocket('udp4')]
    await new Promise<void>((done) => uas.bind(0, '127.0.0.1', done))
    await new Promise<void>((done) => caller.bind(0, '127.0.0.1', done))
    uas.on('message', (bytes, from) => {
      const text = bytes.toString('latin1')
      if (!received.includes(text)) received.push(text)
      if (text.startsWith('ACK')) return
      // Whatever it is: it is refused, so that nothing is repeated.
      uas.send(Buffer.from(responseText(text, '404 Not Found'), 'latin1'), from.port, from.address)
    })
    // One worker: requests arrive in the order in which they were sent.
    siphon = await startSiphon({
      script: script(uas.address().port),
      scriptOptions: { sync_pool_size: 1, sync_pool_max: 1 },
    })
  })
  after(async () => {
    uas.close()
    caller.close()
    await siphon.stop('SIGKILL')
  })

  /** What arrives of the message: all before the next one arrives. ACKs of our refusals are the proxy's own. */
  async function forwarded(text: string): Promise<string[]> {
    const seen = received.length
    const next = requestText('OPTIONS', 'sip:next@127.0.0.1').replaceAll('OWN', '127.0.0.1:9')
    const id = /^Call-ID: (.*)$/m.exec(next)?.[1] ?? ''
    for (const message of [text, next]) caller.send(Buffer.from(message, 'latin1'), siphon.sip, '127.0.0.1')
    await until('the next one', () => received.some((m) => m.includes(`Call-ID: ${id}\r\n`)))
    return received.slice(seen).filter((m) => !m.includes(`Call-ID: ${id}\r\n`) && !m.startsWith('ACK'))
  }

  for (const name of names) {
    it(name, async () => {
      const original = read(name)
      const got = await forwarded(original)
      assert.ok(got.length <= 1, 'one message is one message')
      const [text] = got
      if (NEVER.includes(name)) assert.equal(text, undefined)
      if (text === undefined) return
      const parsed = parseMessage(text)
      assert.ok(parsed.ok && parsed.message.kind === 'request')
      const { message } = parsed
      assert.doesNotMatch(text.split('\r\n', 1)[0] ?? '', /[<>]| {2}|\s$/, 'the start line is sound')
      const length = message.headers.first('content-length')
      if (length !== undefined) assert.equal(Number(length), message.body.length)
      const was = parseMessage(original)
      assert.ok(was.ok && was.message.kind === 'request')
      assert.equal(message.body, was.message.body, 'the body passes byte for byte')
      assert.equal(message.headers.all('via').length, was.message.headers.all('via').length + 1)
    })
  }

  it('of those that are sound most arrive: the rules above are not kept by silence', async () => {
    const arrived = new Set(
      received.map((m) => /^Call-ID[ \t]*: *(\S+)/im.exec(m)?.[1] ?? /^i: *(\S+)/im.exec(m)?.[1]),
    )
    assert.ok(arrived.size > 15, String(arrived.size))
  })

  it('inv2543 over TCP, where its body ends with silence: its length is told by UDP and by TCP', async () => {
    const body = read('inv2543').slice(read('inv2543').indexOf('\r\n\r\n') + 4)
    const heard: Record<string, string> = {}
    const server = createServer((socket) => {
      socket.on('data', (bytes) => {
        heard['tcp'] = (heard['tcp'] ?? '') + bytes.toString('latin1')
        if (heard['tcp'].endsWith(body)) socket.write(responseText(heard['tcp'], '404 Not Found'), 'latin1')
      })
    }).listen(uas.address().port, '127.0.0.1')
    await until('to listen', () => server.listening)
    for (const protocol of ['udp', 'tcp']) {
      const id = `${protocol}.inv2543`
      const text = read('inv2543')
        .replace(/^Call-ID: .*$/m, `Call-ID: ${id}`)
        .replace('sip:UserB@', `sip:${protocol}@`)
      const peer = connect(siphon.sip, '127.0.0.1')
      let answer = ''
      peer.on('data', (bytes) => (answer += bytes.toString('latin1')))
      peer.write(text, 'latin1')
      await until('the answer', () => answer.includes('SIP/2.0 404 '))
      peer.destroy()
      heard[protocol] ??= received.find((m) => m.includes(`Call-ID: ${id}\r\n`)) ?? ''
      const [head = '', rest] = heard[protocol].split('\r\n\r\n', 2)
      assert.match(head, /^INVITE sip:/)
      assert.deepEqual(head.match(/^(?:Content-Length|l)\s*:.*$/gim), [`Content-Length: ${body.length}`])
      assert.equal(rest, body)
    }
    server.close()
  })

  it('dblreq: what follows the body of a datagram is nobody’s', async () => {
    const [text = ''] = await forwarded(
      read('dblreq')
        .replace(/^Call-ID: .*$/m, 'Call-ID: again')
        .replace('branch=', 'branch=z9hG4bKagain'),
    )
    assert.match(text, /^REGISTER /)
    assert.doesNotMatch(text, /INVITE/)
  })

  it('bcast: a response is sent to nobody but whom a request of ours came from', async () => {
    const out = await siphon.sum('siphon_responses_total', /direction="out"/)
    const ours = read('bcast').replace('192.0.2.198;branch', `127.0.0.1:${siphon.sip};branch`)
    assert.deepEqual(await forwarded(ours), [])
    // The answer to the OPTIONS that came after it.
    await until(
      'its answer',
      async () => (await siphon.sum('siphon_responses_total', /direction="out"/)) === out + 1,
    )
  })
})
