import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { httpSinkFaults } from '../../../src/observe/cdr/http.ts'
import type { CdrPipeline } from '../../../src/observe/cdr/pipeline.ts'
import { accept, levelsOf, pipeline, scratch, until } from '../../support/cdr.ts'

interface Seen {
  readonly id: string
  readonly headers: IncomingHttpHeaders
  readonly url: string
}

type Answer = (
  id: string,
  nth: number,
) => { status: number; headers?: Record<string, string> } | 'reset' | 'hang'

async function collector(t: TestContext, answer: Answer, port = 0) {
  const seen: Seen[] = []
  const taken = new Set<string>()
  let connections = 0
  const listener: RequestListener = (request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => void (body += chunk.toString()))
    request.on('end', () => {
      const { id } = JSON.parse(body) as { id: string }
      seen.push({ id, headers: request.headers, url: request.url ?? '' })
      const what = answer(id, seen.filter((s) => s.id === id).length)
      if (what === 'reset') request.socket.resetAndDestroy()
      else if (what !== 'hang') {
        if (what.status < 300) taken.add(id)
        response.writeHead(what.status, what.headers).end('ok')
      }
    })
  }
  const server: Server = createServer(listener)
  server.on('connection', () => void connections++)
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port: actual } = server.address() as AddressInfo
  return {
    seen,
    taken,
    url: `http://127.0.0.1:${actual}/v1/cdr?x=1`,
    server,
    connections: () => connections,
    port: actual,
  }
}

/** Gives one record after another, as calls end, until it is enough. Returns how many. */
async function feed(p: CdrPipeline, enough: () => boolean): Promise<number> {
  for (let n = 0; ; n++) {
    if (enough() || n === 2_000) return n
    accept(p, n, 1)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
}

describe('the http sink', () => {
  it('posts one record a request over few kept connections, with its key and its Authorization', async (t) => {
    const c = await collector(t, () => ({ status: 201 }))
    const { pipeline: p } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: 'Bearer tok123' }])
    await p.start()
    accept(p, 0, 300)
    assert.equal(await p.flush(5000), true)
    assert.equal(c.taken.size, 300)
    assert.equal(c.seen.length, 300)
    assert.ok(c.connections() <= 8, `${c.connections()} connections`)
    const [first] = c.seen
    assert.equal(first?.url, '/v1/cdr?x=1')
    assert.equal(first?.headers['authorization'], 'Bearer tok123')
    assert.equal(first?.headers['idempotency-key'], first?.id)
    assert.equal(first?.headers['content-type'], 'application/json')
    assert.equal(levelsOf(p).delivered, 300)
  })

  it('tries again after a reset, a 500 and a 429, and loses nothing', async (t) => {
    const c = await collector(t, (_, nth) => {
      if (nth === 1) return 'reset'
      if (nth === 2) return { status: 500 }
      return nth === 3 ? { status: 429 } : { status: 200 }
    })
    const { pipeline: p, lines } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: null }], {
      minBackoffMs: 1,
      maxBackoffMs: 5,
    })
    await p.start()
    accept(p, 0, 10)
    await until(() => c.taken.size === 10)
    await until(() => levelsOf(p).queued === 0)
    const l = levelsOf(p)
    assert.deepEqual([l.retried, l.delivered, l.retries], [10, 0, 30])
    assert.ok(lines.length <= 4, lines.join('\n'))
  })

  it('waits as long as Retry-After says', async (t) => {
    const times: number[] = []
    const c = await collector(t, (_, nth) => {
      times.push(performance.now())
      return nth === 1 ? { status: 503, headers: { 'Retry-After': '1' } } : { status: 200 }
    })
    const { pipeline: p } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: null }])
    await p.start()
    accept(p, 0, 1)
    await until(() => levelsOf(p).retried === 1)
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 990)
  })

  it('sets aside what is refused for good, and redirects, and goes on', async (t) => {
    const dead = join(scratch(t), 'x/cdr-dead.jsonl')
    const c = await collector(t, (id) => {
      if (id === 'r-3') return { status: 400 }
      return id === 'r-5' ? { status: 302, headers: { Location: 'http://127.0.0.1:1/' } } : { status: 200 }
    })
    const { pipeline: p } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: 'secret' }], {
      deadLetterPath: dead,
    })
    await p.start()
    accept(p, 0, 20)
    assert.equal(await p.flush(5000), true)
    assert.deepEqual([levelsOf(p).delivered, levelsOf(p).dead], [18, 2])
    const letters = readFileSync(dead, 'utf8')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l) as { reason: string; record: { id: string } })
    assert.deepEqual(letters.map((l) => `${l.record.id} ${l.reason}`).sort(), [
      'r-3 status 400',
      'r-5 status 302',
    ])
    assert.equal(c.seen.length, 20)
  })

  it('does not let one record that always gets a 500 hold up the others, and sets it aside in the end', async (t) => {
    const c = await collector(t, (id) => ({ status: id === 'r-0' ? 500 : 200 }))
    const { pipeline: p } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: null }], {
      minBackoffMs: 1,
      maxBackoffMs: 2,
    })
    await p.start()
    const n = await feed(p, () => levelsOf(p).dead > 0)
    assert.equal(await p.flush(5000), true)
    assert.deepEqual([levelsOf(p).dead, levelsOf(p).delivered], [1, n - 1])
  })

  it('does not let several such records, the first of all, hold up the others', async (t) => {
    const bad = (id: string): boolean => ['r-0', 'r-1', 'r-2', 'r-3'].includes(id)
    const c = await collector(t, (id) => ({ status: bad(id) ? 500 : 200 }))
    const { pipeline: p } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: null }], {
      minBackoffMs: 1,
      maxBackoffMs: 2,
    })
    await p.start()
    accept(p, 0, 100)
    await until(() => levelsOf(p).delivered === 96)
  })

  it('keeps all while the collector refuses our token, says so, and delivers when it is taken', async (t) => {
    let status = 401
    const dead = join(scratch(t), 'cdr-dead.jsonl')
    const c = await collector(t, () => ({ status }))
    const { pipeline: p, lines } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: 'Bearer old' }], {
      deadLetterPath: dead,
      minBackoffMs: 1,
      maxBackoffMs: 3,
    })
    await p.start()
    accept(p, 0, 20)
    for (status of [401, 403, 407]) {
      const before = c.seen.length
      await until(() => c.seen.length > before + 30)
      assert.equal(levelsOf(p).queued, 20)
      const line = `status ${status}: the collector does not let us in, see cdr.http.auth_header; 20 records wait`
      assert.equal(lines.filter((l) => l.includes(line)).length, 1, lines.join('\n'))
    }
    status = 200
    await until(() => levelsOf(p).queued === 0)
    const l = levelsOf(p)
    assert.deepEqual([l.retried + l.delivered, l.dead, l.dropped], [20, 0, 0])
    assert.equal(existsSync(dead), false)
  })

  it('sets aside in the end a record that alone gets a 403, but none for a 401', async (t) => {
    const c = await collector(t, (id) => ({ status: id === 'r-0' ? 403 : id === 'r-1' ? 401 : 200 }))
    const { pipeline: p } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: null }], {
      minBackoffMs: 1,
      maxBackoffMs: 2,
    })
    await p.start()
    const asked = (): number => c.seen.filter(({ id }) => id === 'r-1').length
    const n = await feed(p, () => levelsOf(p).dead > 0 && asked() >= 30)
    await until(() => levelsOf(p).queued === 1)
    const { dead, delivered, retried, enqueued } = levelsOf(p)
    assert.deepEqual([dead, delivered + retried, enqueued], [1, n - 2, n])
  })

  it('gives up a request after its time, and probes a dead collector with one at a time', async (t) => {
    let dead = true
    const c = await collector(t, () => (dead ? 'hang' : { status: 200 }))
    const { pipeline: p } = pipeline(t, [{ kind: 'http', url: c.url, authHeader: null, timeoutMs: 50 }])
    await p.start()
    accept(p, 0, 100)
    await until(() => c.seen.length >= 3)
    assert.ok(c.connections() <= c.seen.length + 1)
    dead = false
    await until(() => levelsOf(p).queued === 0)
    assert.equal(c.taken.size, 100)
  })

  it('holds the bound while nobody listens, and delivers everything when somebody does', async (t) => {
    const first = await collector(t, () => ({ status: 200 }))
    const { port } = first
    await new Promise((resolve) => first.server.close(resolve))
    const { pipeline: p } = pipeline(
      t,
      [{ kind: 'http', url: `http://127.0.0.1:${port}/`, authHeader: null }],
      { channelSize: 50 },
    )
    await p.start()
    accept(p, 0, 60)
    await until(() => levelsOf(p).retries > 2)
    assert.deepEqual([levelsOf(p).queued, levelsOf(p).dropped], [50, 10])
    const second = await collector(t, () => ({ status: 200 }), port)
    await until(() => levelsOf(p).queued === 0)
    assert.equal(second.taken.size, 50)
  })

  it('does not read an endless answer', async (t) => {
    let sent = 0
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n')
        const more = (): void => {
          while (!socket.destroyed && socket.write(Buffer.alloc(16_384))) sent += 16_384
        }
        socket.on('drain', more)
        more()
      })
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const { pipeline: p } = pipeline(t, [
      { kind: 'http', url: `http://127.0.0.1:${port}/`, authHeader: null },
    ])
    await p.start()
    accept(p, 0, 3)
    assert.equal(await p.flush(5000), true)
    assert.equal(levelsOf(p).delivered, 3)
    assert.ok(sent < 50_000_000, String(sent))
  })

  it('takes an answer that is not HTTP, or half of one, for a failure', async (t) => {
    let n = 0
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => {
        n++
        if (n === 1) socket.end('garbage\r\n\r\n')
        else if (n === 2) socket.end('HTTP/1.1 20')
        else if (n === 3) socket.end()
        else socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
      })
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const { pipeline: p } = pipeline(t, [
      { kind: 'http', url: `http://127.0.0.1:${port}/`, authHeader: null },
    ])
    await p.start()
    accept(p, 0, 1)
    await until(() => levelsOf(p).retried === 1)
    assert.equal(levelsOf(p).retries, 3)
  })
})

describe('the options of the http sink', () => {
  it('are refused with all that is wrong', () => {
    assert.deepEqual(httpSinkFaults({ url: 'https://c.example.com/v1', authHeader: 'Bearer x' }), [])
    assert.equal(httpSinkFaults({ url: 'ftp://x', authHeader: 'a\r\nX-Evil: 1' }).length, 2)
    assert.equal(httpSinkFaults({ url: 'nonsense', authHeader: null }).length, 1)
    assert.equal(httpSinkFaults({ url: 'http://u:p@x/', authHeader: null }).length, 1)
  })
})

describe('the spool', () => {
  it('keeps what could not be delivered at the end, and the next start delivers it', async (t) => {
    const dir = scratch(t)
    const down = await collector(t, () => 'hang')
    const spoolDir = join(dir, 'spool')
    const first = pipeline(t, [{ kind: 'http', url: down.url, authHeader: null }], { spoolDir })
    await first.pipeline.start()
    accept(first.pipeline, 0, 40)
    assert.equal(await first.pipeline.flush(50), false)
    await first.pipeline.close()
    assert.deepEqual([levelsOf(first.pipeline).spooled, levelsOf(first.pipeline).queued], [40, 0])
    const file = join(spoolDir, 'spool-http.jsonl')
    assert.equal(readFileSync(file, 'utf8').trim().split('\n').length, 40)

    const up = await collector(t, () => ({ status: 200 }))
    const second = pipeline(t, [{ kind: 'http', url: up.url, authHeader: null }], { spoolDir })
    await second.pipeline.start()
    assert.equal(await second.pipeline.flush(5000), true)
    assert.equal(up.taken.size, 40)
    assert.equal(levelsOf(second.pipeline).delivered, 40)
    await until(() => !existsSync(file))
  })

  it('stays whole when the process dies before the last of it is delivered', async (t) => {
    const spoolDir = scratch(t)
    const down = await collector(t, () => 'hang')
    const first = pipeline(t, [{ kind: 'http', url: down.url, authHeader: null }], { spoolDir })
    await first.pipeline.start()
    accept(first.pipeline, 0, 5)
    await first.pipeline.close()
    const half = await collector(t, (id) => (id === 'r-4' ? 'hang' : { status: 200 }))
    const second = pipeline(t, [{ kind: 'http', url: half.url, authHeader: null }], { spoolDir })
    await second.pipeline.start()
    await until(() => half.taken.size === 4)
    // Killed here: the file still has all five. Four come twice, with the same id; none is lost.
    assert.equal(readFileSync(join(spoolDir, 'spool-http.jsonl'), 'utf8').trim().split('\n').length, 5)
  })
})

describe('several sinks', () => {
  it('do not wait for each other', async (t) => {
    const path = join(scratch(t), 'cdr.jsonl')
    const c = await collector(t, () => 'hang')
    const { pipeline: p } = pipeline(
      t,
      [
        { kind: 'http', url: c.url, authHeader: null },
        { kind: 'file', path, rotateSizeMb: 0 },
      ],
      { channelSize: 200 },
    )
    await p.start()
    accept(p, 0, 200)
    await until(() => levelsOf(p, 1).delivered === 200)
    assert.equal(levelsOf(p, 0).queued, 200)
  })
})
