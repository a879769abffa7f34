import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Coverage } from './coverage.ts'
import { inputsFor, kept } from './corpus.ts'
import { Fuzzer, run } from './fuzzer.ts'
import { randomFrom } from './mutate.ts'
import { targets } from './targets.ts'

/** Everything together, ms. `npm run fuzz` goes on for as long as it is told. */
const FUZZ_MS = 20_000
const SEED = 3261

// Before anything ran: what has been optimized by then is not counted.
const coverage = new Coverage('/src/sip/')

describe('what strangers send', () => {
  for (const target of targets) {
    it(`${target.name}: what earlier runs kept is read without a fault`, () => {
      assert.ok(kept(target.name).length > 10, 'the corpus is there')
      for (const input of inputsFor(target.name)) {
        assert.equal(run(target, input), null, input.toString('latin1').slice(0, 200))
      }
    })
  }

  it(`${FUZZ_MS / 1000} s of changed inputs find nothing`, () => {
    const random = randomFrom(SEED)
    const findings: string[] = []
    for (const target of targets) {
      const fuzzer = new Fuzzer({
        target,
        inputs: inputsFor(target.name),
        random,
        coverage,
        onNew: () => undefined,
        onFinding: ({ input, what }) =>
          findings.push(`${target.name}: ${what}\n${input.toString('base64').slice(0, 4_000)}`),
      })
      assert.ok(fuzzer.features > 100, `${target.name}: the coverage is seen: ${fuzzer.features}`)
      const end = performance.now() + FUZZ_MS / targets.length
      while (performance.now() < end && findings.length === 0) fuzzer.step()
    }
    coverage.close()
    assert.deepEqual(findings, [])
  })
})
