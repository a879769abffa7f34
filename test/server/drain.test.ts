import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { drain, type Drainable } from '../../src/server/drain.ts'
import { FakeClock } from '../support/fake-clock.ts'

function lab(busyUntil: number, lingersUntil = 0): { clock: FakeClock; log: string[]; server: Drainable } {
  const clock = new FakeClock()
  const log: string[] = []
  return {
    clock,
    log,
    server: {
      refuseCalls: async (secs) => void log.push(`${clock.now()} refuse, retry after ${secs}`),
      endCalls: async () => 0,
      busy: async () => (clock.now() < busyUntil ? 3 : 0),
      lingers: async () => clock.now() < lingersUntil,
    },
  }
}

/** Lets promises settle between steps of time. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let t = 0; t < ms; t += 50) {
    for (let i = 0; i < 10; i++) await Promise.resolve()
    clock.advance(50)
  }
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

describe('drain', () => {
  it('takes calls through the lame-duck time, then refuses, and ends with the last call', async () => {
    const { clock, log, server } = lab(5_000)
    let left: number | undefined
    void drain(server, { clock, lameDuckMs: 2_000, drainMs: 30_000 }).then((n) => {
      left = n
      log.push(`${clock.now()} done`)
    })
    await pass(clock, 10_000)
    assert.equal(left, 0)
    assert.deepEqual(log, ['2000 refuse, retry after 5', '5000 done'])
    assert.equal(clock.pendingTimers, 0)
  })

  it('answers repetitions for two more seconds, and no longer than its deadline', async () => {
    for (const [drainMs, ends] of [
      [30_000, 7_000],
      [6_000, 6_000],
    ] as const) {
      const { clock, log, server } = lab(5_000, 40_000)
      void drain(server, { clock, lameDuckMs: 0, drainMs }).then((n) => log.push(`${clock.now()} done, ${n}`))
      await pass(clock, 10_000)
      assert.deepEqual(log, ['0 refuse, retry after 5', `${ends} done, 0`])
    }
  })

  it('gives up at the deadline and says how much was left', async () => {
    const { clock, server } = lab(Infinity)
    let left: number | undefined
    void drain(server, { clock, lameDuckMs: 0, drainMs: 1_000 }).then((n) => (left = n))
    await pass(clock, 900)
    assert.equal(left, undefined)
    await pass(clock, 400)
    assert.equal(left, 3)
  })

  it('ends at once when nothing lives', async () => {
    const { clock, server } = lab(0)
    let left: number | undefined
    void drain(server, { clock, lameDuckMs: 0, drainMs: 1_000 }).then((n) => (left = n))
    await pass(clock, 50)
    assert.equal(left, 0)
    assert.equal(clock.now(), 50)
  })
})
