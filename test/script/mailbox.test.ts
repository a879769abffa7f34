import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import * as fc from 'fast-check'
import type { Batch } from '../../src/script/conversation.ts'
import { createMailbox, MailboxReader, MailboxWriter } from '../../src/script/mailbox.ts'
import { job, rig, until } from './support.ts'

/** A worker's end and the engine's, with a port that delivers when the test says so. */
function lab() {
  const shared = createMailbox()
  const posted: Batch[] = []
  const got: Batch[] = []
  const writer = new MailboxWriter(shared, (batch) => void posted.push(batch))
  const reader = new MailboxReader(shared)
  const fetch = (): void => {
    const batch = reader.fetch()
    if (batch !== null) got.push(batch)
  }
  const deliver = (): void => {
    const batch = posted.shift()
    if (batch === undefined) return
    fetch()
    reader.heard()
    got.push(batch)
  }
  return { writer, reader, posted, got, fetch, deliver }
}

const anItem = fc.oneof(
  fc.constant(null),
  fc.integer(),
  fc.double().filter((n) => !Object.is(n, -0)),
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)), maxLength: 40 }),
)

describe('the mailbox of a worker', () => {
  it('gives items back as they were, without waking anybody, while the engine comes', () => {
    fc.assert(
      fc.property(fc.array(fc.array(anItem, { maxLength: 30 }), { maxLength: 20 }), (batches) => {
        const { writer, reader, posted, got, fetch } = lab()
        reader.comes(true)
        for (const batch of batches) writer.send(batch)
        fetch()
        assert.deepEqual(posted, [])
        assert.deepEqual(got.flat(), batches.flat())
        fetch()
        assert.deepEqual(got.flat(), batches.flat())
      }),
    )
  })

  it('keeps the order and loses nothing, however coming, posting and fetching alternate', () => {
    const step = fc.constantFrom('send', 'send long', 'send wide', 'come', 'go', 'fetch', 'deliver')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { writer, reader, posted, got, fetch, deliver } = lab()
        let sent = 0
        for (const what of steps) {
          if (what === 'send') writer.send([++sent])
          else if (what === 'send long') writer.send([++sent, 'x'.repeat(20_000)])
          else if (what === 'send wide') writer.send([++sent, 'a text of \u20ac'])
          else if (what === 'come') reader.comes(true)
          else if (what === 'fetch') fetch()
          else if (what === 'deliver') deliver()
          else {
            reader.comes(false)
            fetch()
          }
        }
        reader.comes(false)
        fetch()
        while (posted.length > 0) deliver()
        const numbers = got.flat().filter((item) => typeof item === 'number')
        assert.deepEqual(
          numbers,
          Array.from({ length: sent }, (_, i) => i + 1),
        )
      }),
    )
  })

  it('posts what the engine must be woken for: it does not come, no room, characters of two bytes', () => {
    const { writer, reader, posted, got, fetch, deliver } = lab()
    writer.send([1])
    assert.deepEqual(posted, [[1]])
    deliver()
    reader.comes(true)
    writer.send(['\u20ac'])
    writer.send(['after it'])
    assert.deepEqual(posted, [['\u20ac'], ['after it']])
    deliver()
    deliver()
    writer.send(['x'.repeat(100_000)])
    assert.equal(posted.length, 1)
    deliver()
    writer.send(['by memory'])
    assert.equal(posted.length, 0)
    fetch()
    assert.deepEqual(got.at(-1), ['by memory'])
  })

  it('posts what somebody waits for, after all that was said before', () => {
    const { writer, reader, posted, got, deliver } = lab()
    reader.comes(true)
    writer.send([1])
    writer.send([2], true)
    assert.deepEqual(posted, [[2]])
    deliver()
    assert.deepEqual(got, [[1], [2]])
    writer.send([3])
    assert.equal(posted.length, 0)
  })

  it('wakes the engine when it looked for the last time while this was written', () => {
    const { writer, reader, posted, got, fetch, deliver } = lab()
    reader.comes(true)
    const batch: Batch = [1]
    // In the middle of the writing the engine says that it comes no more, and looks once more: nothing is there yet.
    Object.defineProperty(batch, 1, {
      get: () => {
        reader.comes(false)
        fetch()
        return 2
      },
    })
    writer.send(batch)
    assert.deepEqual([posted, got], [[[]], []])
    deliver()
    assert.deepEqual(got, [[1, 2], []])
  })

  it('leaves nothing lying between threads, whenever the engine stops to come', async () => {
    const shared = createMailbox()
    const { port1, port2 } = new MessageChannel()
    const source = `
      import { workerData } from 'node:worker_threads'
      const { MailboxWriter } = await import(workerData.module)
      const writer = new MailboxWriter(workerData.shared, (batch) => workerData.port.postMessage(batch))
      for (let i = 1; i <= workerData.count; i++) {
        writer.send([i, 'number ' + i, i / 3])
        // The engine is to find it now empty and now full.
        if (i % 97 === 0) await new Promise((done) => setTimeout(done, 1))
      }
      workerData.port.close()`
    const module = new URL('../../src/script/mailbox.ts', import.meta.url).href
    const count = 10_000
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
      workerData: { shared, module, count, port: port2 },
      transferList: [port2],
    })
    const reader = new MailboxReader(shared)
    let next = 1
    let fetched = 0
    const take = (batch: Batch): void => {
      for (let at = 0; at < batch.length; at += 3, next++) {
        assert.deepEqual(batch.slice(at, at + 3), [next, `number ${next}`, next / 3])
      }
    }
    const fetch = (): void => {
      const batch = reader.fetch()
      if (batch === null) return
      fetched += batch.length / 3
      take(batch)
    }
    const ended = hear(port1, (batch) => {
      fetch()
      reader.heard()
      take(batch)
    })
    let comes = false
    let turns = 0
    const turn = (): void => {
      if (next > count) return
      if (turns++ % 3 === 0) {
        comes = !comes
        reader.comes(comes)
        if (!comes) fetch()
      } else if (comes) fetch()
      // The last quarter is heard of by waking only.
      if (next > (count * 3) / 4) {
        reader.comes(false)
        fetch()
      } else setImmediate(turn)
    }
    turn()
    await ended
    fetch()
    assert.equal(next, count + 1)
    assert.ok(fetched > 0, 'nothing went by memory')
    await worker.terminate()
  })
})

function hear(port: MessagePort, listener: (batch: Batch) => void): Promise<void> {
  port.on('message', listener)
  return new Promise((done) => port.once('close', () => done()))
}

describe('verdicts while the engine comes to look', () => {
  const script = `import { proxy } from 'siphon'
    proxy.onRequest(async (request) => {
      if (request.method === 'MESSAGE') await new Promise((done) => setTimeout(done, 30))
      if (request.method === 'INFO') process.exit(3)
      return request.reply(486, 'B\\u00fcsy')
    })`

  it('wait to be fetched, those of handlers that awaited too, and wake it again when it comes no more', async (t) => {
    const r = await rig(t, script)
    assert.ok(r.started.ok, JSON.stringify(r.started))
    r.host.comes(true)
    let settled = 0
    const runs = ['INVITE', 'MESSAGE'].map((method) =>
      r.run(job({ method })).then((outcome) => {
        settled++
        return outcome
      }),
    )
    await until(() => r.host.inflight === 2)
    await new Promise((done) => setTimeout(done, 60))
    assert.equal(settled, 0, 'it was woken')
    r.host.fetch()
    for (const outcome of await Promise.all(runs))
      assert.equal(outcome.ok && outcome.decision.verdict.do, 'reply')
    // What a worker has left when the last look is over is fetched by it.
    const last = r.run(job({ method: 'INVITE' }))
    await until(() => r.host.inflight === 1)
    r.host.comes(false)
    assert.ok((await last).ok)
    assert.ok((await r.run(job({ method: 'INVITE' }))).ok, 'nobody woke it')
    assert.deepEqual([r.host.inflight, r.host.queued], [0, 0])
  })

  it('wait likewise in workers of a script that is loaded meanwhile', async (t) => {
    const r = await rig(t, script)
    r.host.comes(true)
    assert.ok((await r.supervisor.reload()).ok)
    await until(() => r.host.generation === 2)
    let settled = false
    const run = r.run(job({ method: 'INVITE' })).then(() => (settled = true))
    await until(() => r.host.inflight === 1)
    await new Promise((done) => setTimeout(done, 60))
    assert.equal(settled, false, 'it was woken')
    r.host.fetch()
    await run
  })

  it('but questions do not: the handler waits for the answer', async (t) => {
    const r = await rig(
      t,
      `import { proxy, registrar } from 'siphon'
       proxy.onRequest(async (request) => {
         if (request.method === 'OPTIONS') return request.reply(486)
         for (const n of [1, 2, 3]) await registrar.lookup('sip:' + n + '@example.com')
         return request.reply(486)
       })`,
      { limits: { poolSize: 1, poolMax: 1 } },
    )
    r.host.comes(true)
    let before = false
    void r.run(job({ method: 'OPTIONS' })).then(() => (before = true))
    await until(() => r.host.inflight === 1)
    await new Promise((done) => setTimeout(done, 60))
    assert.equal(before, false, 'it was woken')
    let settled = false
    const run = r.run(job({ method: 'INVITE' })).then(() => (settled = true))
    await until(() => r.lookups() === 5)
    assert.equal(before, true, 'what was left before the question was read after it, or not at all')
    await new Promise((done) => setTimeout(done, 60))
    assert.equal(settled, false, 'it was woken')
    r.host.fetch()
    await run
  })

  it('are not lost with their worker', async (t) => {
    const r = await rig(t, script)
    r.host.comes(true)
    const before = r.run(job({ method: 'INVITE' }))
    await until(() => r.host.inflight === 1)
    const exits = r.run(job({ method: 'INFO' }))
    const outcome = await before
    assert.equal(outcome.ok && outcome.decision.verdict.do, 'reply')
    const lost = await exits
    assert.equal(!lost.ok && lost.reason, 'worker_lost')
  })

  it('are timed by the worker: how long they waited to be fetched is not the handler’s', async (t) => {
    const r = await rig(t, script)
    r.host.comes(true)
    const run = r.run(job({ method: 'MESSAGE' }))
    await new Promise((done) => setTimeout(done, 300))
    r.host.fetch()
    await run
    const took = r.jobs.at(-1)?.runMs ?? 0
    assert.ok(took >= 29 && took < 200, `${took} ms`)
  })
})
