import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Job, Outcome } from '../../src/core/verdict.ts'
import { Claims } from '../../src/script/claims.ts'
import {
  BatchReader,
  KINDS,
  ToHost,
  ToWorker,
  type Batch,
  type Manifest,
} from '../../src/script/conversation.ts'
import { ScriptHost, type HostLimits } from '../../src/script/host.ts'
import { readContacts, readRequest, readResponse, writeDecision } from '../../src/script/message-codec.ts'
import { WorkerLink } from '../../src/script/worker-link.ts'
import { createSpine } from '../../src/spine/spine.ts'
import type { ScriptFailed } from '../../src/spine/facts.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { job } from './support.ts'

const MANIFEST: Manifest = {
  handlers: [
    { kind: 'request', methods: null, name: 'onRequest', where: 'script.ts:1:7' },
    { kind: 'timer', methods: null, name: 'timer(tick)', where: 'script.ts:2:7' },
  ],
  timers: [{ handler: 1, seconds: 10, jitter: 0 }],
}

/** A worker that does what the test says, when it says so. */
class FakeWorker {
  readonly claims: Claims
  readonly id: number
  readonly offers: { id: number; slot: number; callId: string }[] = []
  batches = 0
  /** A ping moves it. */
  alive = true
  readonly #host: ScriptHost

  constructor(id: number, host: ScriptHost, slots: number) {
    this.id = id
    this.#host = host
    this.claims = Claims.create(slots)
  }

  link(generation: number, clock: FakeClock): WorkerLink {
    const port = {
      post: (batch: Batch) => this.#hear(batch),
      fetch: () => null,
      comes: () => {},
      drain: () => [],
      close: () => {},
    }
    return new WorkerLink(this.id, generation, MANIFEST, port, this.claims, clock.now())
  }

  start(at = 0): { id: number; slot: number } {
    const offer = this.offers[at]
    assert.ok(offer && this.claims.claim(offer.slot, offer.id), 'nothing to claim')
    this.claims.enter(offer.id, 0)
    return offer
  }

  /** Claims and ends the oldest offer; false when it was taken back. */
  finish(): boolean {
    const offer = this.offers.shift()
    assert.ok(offer)
    if (this.claims.state(offer.slot, offer.id) === 'offered') this.claims.claim(offer.slot, offer.id)
    if (this.claims.state(offer.slot, offer.id) !== 'claimed') return false
    this.claims.finish(offer.slot, offer.id)
    this.claims.leave()
    const batch: Batch = [ToHost.done, offer.id, 0, 3]
    const verdict = { do: 'relay', target: null } as const
    writeDecision(batch, { verdict, edits: [], recordRoute: false, cdr: null, authUser: null })
    this.#host.receive(this.id, batch)
    return true
  }

  park(offer: { id: number }): void {
    this.claims.leave()
    this.#host.receive(this.id, [ToHost.parked, offer.id])
  }

  #hear(batch: Batch): void {
    this.batches++
    if (this.alive) this.claims.alive()
    const reader = new BatchReader(batch)
    while (!reader.done) {
      if (reader.number() !== ToWorker.job) continue
      const id = reader.number()
      const slot = reader.number()
      const kind = KINDS[reader.number()]
      if (kind === 'timer') {
        reader.number()
        this.offers.push({ id, slot, callId: 'timer' })
        continue
      }
      const callId = /^Call-ID:(.*)$/m.exec(readRequest(reader).head)?.[1] ?? ''
      this.offers.push({ id, slot, callId })
      reader.string() // protocol
      for (let side = 0; side < 2; side++)
        assert.equal(typeof reader.string() + typeof reader.number(), 'stringnumber')
      reader.number() // looseRoute
      const count = reader.number()
      if (count > 0) readContacts(reader, count)
      if ((kind === 'reply' || kind === 'failure') && reader.number() === 1) readResponse(reader)
    }
  }
}

function lab(limits: Partial<HostLimits> = {}, workers = 1) {
  const clock = new FakeClock()
  const spine = createSpine((_, error) => assert.fail(String(error)))
  const failed: ScriptFailed[] = []
  spine.scriptFailed.subscribe((fact) => failed.push(fact))
  const all = {
    queueCapacity: 16,
    handlerTimeoutMs: 1000,
    poolSize: 1,
    poolMax: 2,
    handlersPerWorker: 4,
    ...limits,
  }
  const asked: string[] = []
  const host = new ScriptHost({
    clock,
    spine,
    location: { lookup: () => [] },
    limits: all,
    control: {
      needWorkers: (count) => void asked.push(`need ${count}`),
      releaseWorker: (id) => void asked.push(`release ${id}`),
      killWorker: (id) => void asked.push(`kill ${id}`),
    },
    random: () => 0.5,
    processors: 1,
  })
  const made = Array.from({ length: workers }, (_, i) => new FakeWorker(i + 1, host, all.handlersPerWorker))
  host.switchGeneration(
    1,
    made.map((w) => w.link(1, clock)),
  )
  const outcomes: Outcome[] = []
  const submit = (given: Job = job(), share: 'initial' | 'in-dialog' = 'initial', stream = false) => {
    const place = host.reserve(share, given.request.method, stream)
    if (place === null) return false
    place.decide(given, (outcome) => void outcomes.push(outcome))
    return true
  }
  const [first] = made
  assert.ok(first)
  return { clock, host, failed, asked, workers: made, worker: first, outcomes, submit }
}

describe('the script host', () => {
  it('posts what has gathered as one message, and never answers at once', () => {
    const { host, worker, outcomes, submit } = lab()
    for (let i = 0; i < 4; i++) submit()
    assert.equal(worker.batches, 0)
    host.flush()
    assert.deepEqual([worker.batches, worker.offers.length, host.queued, host.inflight], [1, 4, 4, 0])
    worker.start()
    assert.deepEqual([host.queued, host.inflight], [3, 1])
    assert.equal(outcomes.length, 0)
  })

  it('leaves no timer and no call behind', () => {
    const { clock, host, worker, outcomes, submit } = lab()
    submit()
    host.flush()
    worker.finish()
    assert.equal(outcomes.length, 1)
    clock.advance(60)
    host.close()
    assert.equal(clock.pendingTimers, 0)
  })

  it('refuses when full, and keeps an eighth for dialogs', () => {
    const { submit } = lab({ queueCapacity: 16 })
    for (let i = 0; i < 13; i++) assert.ok(submit())
    assert.ok(submit(job(), 'initial', true))
    assert.equal(submit(), false)
    assert.equal(submit(job(), 'initial', true), false)
    assert.ok(submit(job(), 'in-dialog'))
    assert.ok(submit(job(), 'in-dialog'))
    assert.equal(submit(job(), 'in-dialog'), false)
  })

  it('serves each peer on streams in its turn', () => {
    const { host, worker, submit } = lab({ queueCapacity: 64, handlersPerWorker: 1 })
    const from = (peer: string, callId: string): void => {
      const given = job({ callId })
      const remote = { host: peer, port: 40_000 }
      assert.ok(submit({ ...given, path: { ...given.path, protocol: 'tcp', remote } }, 'initial', true))
    }
    for (let i = 0; i < 5; i++) from('192.0.2.66', `flood ${i}`)
    from('192.0.2.1', 'phone')
    const served: (string | undefined)[] = []
    while (served.length < 6) {
      host.flush()
      served.push(worker.offers[0]?.callId)
      worker.finish()
    }
    assert.deepEqual(served, ['flood 0', 'phone', 'flood 1', 'flood 2', 'flood 3', 'flood 4'])
  })

  it('keeps an eighth of the others for datagrams, or for streams, and serves them in turns', () => {
    for (const pushy of [true, false]) {
      const { host, worker, outcomes, submit } = lab({ queueCapacity: 64, handlersPerWorker: 1 })
      let taken = 0
      while (submit(job(), 'initial', pushy)) taken++
      // 56 that are not for dialogs, less 7.
      assert.equal(taken, 49)
      for (let i = 0; i < 7; i++) assert.ok(submit(job({ method: 'MESSAGE' }), 'initial', !pushy))
      assert.equal(submit(job(), 'initial', !pushy), false)
      // They are served as they come, though so many others came before.
      for (let i = 0; i < 16; i++) {
        host.flush()
        worker.finish()
      }
      assert.ok(outcomes.length >= 15)
      assert.ok(submit(job(), 'initial', pushy))
      for (let i = 0; i < 6; i++) assert.ok(submit(job(), 'initial', !pushy), `${pushy} ${i}`)
    }
  })

  it('counts a reservation as waiting until it is used or given back', () => {
    const { host } = lab({ queueCapacity: 2 })
    const place = host.reserve('initial', 'INVITE')
    assert.ok(place)
    assert.equal(host.reserve('initial', 'INVITE'), null)
    place.release()
    assert.ok(host.reserve('initial', 'INVITE'))
    assert.throws(() => place.release())
  })

  it('runs jobs of one call one after another, those in dialogs before new ones', () => {
    const { host, worker, submit } = lab({ handlersPerWorker: 1, queueCapacity: 64 })
    submit(job({ callId: 'a' }))
    host.flush()
    submit(job({ callId: 'b' }))
    submit(job({ callId: 'a' }), 'in-dialog')
    submit(job({ callId: 'c' }), 'in-dialog')
    const order: string[] = []
    for (let i = 0; i < 4; i++) {
      order.push(worker.offers[0]?.callId ?? '')
      worker.finish()
      host.flush()
    }
    assert.deepEqual(order, ['a', 'c', 'a', 'b'])
  })

  it('takes back within three looks what lies behind a handler that spins', () => {
    const { clock, host, workers, submit } = lab({ poolSize: 2 }, 2)
    const [one, two] = workers
    assert.ok(one && two)
    submit(job({ callId: 'spins' }))
    submit(job({ callId: 'behind' }))
    host.flush()
    assert.deepEqual([one.offers.length, two.offers.length], [2, 0], 'the awake one is packed')
    one.start()
    one.alive = false
    clock.advance(200)
    assert.deepEqual(
      two.offers.map((o) => o.callId),
      ['behind'],
    )
    assert.ok(two.finish())
    one.alive = true
    assert.ok(one.finish(), 'the slow one ends')
    assert.equal(one.finish(), false, 'what was taken back is not started')
  })

  it('ends only the run when its handler awaits for ever, and ignores its late verdict', () => {
    const { clock, host, worker, outcomes, failed, asked, submit } = lab()
    submit()
    host.flush()
    worker.park(worker.start())
    clock.advance(1100)
    assert.equal(outcomes.length, 1)
    assert.equal(failed[0]?.reason, 'timeout')
    assert.match(failed[0]?.what ?? '', /^onRequest script\.ts:1:7 did not return a verdict within 1000 ms/)
    assert.ok(worker.finish())
    assert.equal(outcomes.length, 1)
    assert.deepEqual(asked, [])
  })

  it('ends the worker when its handler holds the thread, and asks for another', () => {
    const { clock, host, worker, outcomes, failed, asked, submit } = lab()
    for (let i = 0; i < 3; i++) submit()
    host.flush()
    worker.park(worker.start())
    worker.start(1)
    worker.alive = false
    clock.advance(1100)
    assert.deepEqual(asked.slice(0, 2), ['need 1', 'kill 1'], 'one more when work waited, then the kill')
    assert.deepEqual(outcomes.map((o) => o.ok || o.reason).sort(), ['timeout', 'worker_lost'])
    assert.equal(failed.length, 2)
    assert.equal(host.size, 0)
    assert.equal(host.queued, 1)
  })

  it('a lost worker fails what it had started and nothing else', () => {
    const { clock, host, worker, outcomes, failed, asked, submit } = lab()
    for (let i = 0; i < 3; i++) submit()
    host.flush()
    worker.start()
    host.workerGone(1, 'out of memory (256 MB)')
    assert.deepEqual(
      outcomes.map((o) => o.ok || o.what),
      ['onRequest script.ts:1:7: out of memory (256 MB)'],
    )
    assert.equal(failed[0]?.reason, 'worker_lost')
    assert.deepEqual(asked, ['need 1'])
    const next = new FakeWorker(2, host, 4)
    host.attach(next.link(1, clock))
    host.flush()
    assert.equal(next.offers.length, 2)
  })

  it('refuses new calls when it has had no worker for a second, and takes them again with the next one', () => {
    const { clock, host, worker, submit, asked } = lab()
    host.workerGone(worker.id, 'crashed')
    assert.deepEqual(asked, ['need 1'])
    clock.advance(999)
    assert.ok(submit())
    clock.advance(1)
    assert.equal(submit(), false)
    assert.ok(submit(job(), 'in-dialog'))
    const next = new FakeWorker(9, host, 4)
    host.attach(next.link(1, clock))
    assert.ok(submit())
    host.flush()
    assert.equal(next.offers.length, 3)
  })

  it('a job that no worker takes in time fails, and is not started later', () => {
    const { clock, host, outcomes, submit } = lab({}, 1)
    host.workerGone(1, 'gone')
    submit()
    clock.advance(2100)
    assert.deepEqual(
      outcomes.map((o) => o.ok || o.what),
      ['no worker was free for 2000 ms'],
    )
    assert.equal(host.queued, 0)
  })

  it('grows one by one to the ceiling, and shrinks after seconds without use', () => {
    const { clock, host, worker, asked, submit } = lab({
      poolMax: 2,
      handlersPerWorker: 1,
      handlerTimeoutMs: 1e6,
    })
    for (let i = 0; i < 5; i++) submit()
    host.flush()
    worker.start()
    worker.alive = false
    clock.advance(500)
    assert.deepEqual(asked, ['need 1'])
    const second = new FakeWorker(2, host, 1)
    host.attach(second.link(1, clock))
    host.flush()
    second.start()
    clock.advance(500)
    assert.deepEqual(asked, ['need 1'], 'the ceiling')
    worker.alive = true
    for (const w of [worker, second, worker, second, worker]) {
      assert.ok(w.finish())
      host.flush()
    }
    assert.equal(host.size, 2)
    clock.advance(9_000)
    assert.equal(host.size, 2)
    clock.advance(6_000)
    assert.deepEqual(asked, ['need 1', 'release 2'])
    assert.equal(host.size, 1)
  })

  it('does not grow while its workers have answered and their answers are not taken in', () => {
    const { clock, host, worker, asked, submit } = lab({ poolMax: 2, handlersPerWorker: 1 })
    for (let i = 0; i < 5; i++) submit()
    host.flush()
    for (let look = 0; look < 12; look++) {
      // It moves, is done, and what it has to say is on its way: the engine is late, not the worker.
      worker.claims.alive()
      clock.advance(50)
    }
    assert.deepEqual(asked, [])
    assert.equal(host.size, 1)
  })

  it('after a switch, new jobs go to the new script and the old one finishes its own', () => {
    const { clock, host, worker, asked, outcomes, submit } = lab()
    submit()
    host.flush()
    worker.start()
    const next = new FakeWorker(2, host, 4)
    host.switchGeneration(2, [next.link(2, clock)])
    submit()
    host.flush()
    assert.deepEqual([worker.offers.length, next.offers.length, host.generation, host.size], [1, 1, 2, 1])
    assert.deepEqual(asked, [])
    worker.finish()
    assert.deepEqual(asked, ['release 1'])
    assert.equal(outcomes.length, 1)
    host.attach(new FakeWorker(3, host, 4).link(1, clock))
    assert.deepEqual(asked, ['release 1', 'release 3'], 'a late worker of the old script is let go')
  })

  it('timers tick once an interval in the first worker, and never overtake themselves', () => {
    const { clock, host, workers } = lab({ poolSize: 2, handlerTimeoutMs: 60_000 }, 2)
    const [one, two] = workers
    assert.ok(one && two)
    clock.advance(9_999)
    host.flush()
    assert.equal(one.offers.length, 0)
    clock.advance(1)
    host.flush()
    assert.equal(one.offers.length, 1)
    clock.advance(25_000)
    host.flush()
    assert.equal(one.offers.length, 1, 'the first tick still runs')
    assert.ok(one.finish())
    host.flush()
    assert.equal(one.offers.length, 1, 'the one that was due')
    assert.equal(two.offers.length, 0)
  })
})
