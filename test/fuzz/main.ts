import { parseArgs } from 'node:util'
import { Coverage } from './coverage.ts'
import { corpusFolder, inputsFor, keep, kept, replaceKept } from './corpus.ts'
import { Fuzzer, smallest } from './fuzzer.ts'
import { randomFrom } from './mutate.ts'
import { targets } from './targets.ts'

/**
 * `npm run fuzz -- --minutes 60 [--target message] [--seed 1] [--corpus FOLDER]`: exit code 1 when anything was found.
 * `--minimize FOLDER` puts the smallest inputs that reach what those of FOLDER and of the kept corpus reach into the latter.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    target: { type: 'string' },
    corpus: { type: 'string', default: corpusFolder },
    minimize: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const chosen = targets.filter((t) => values.target === undefined || t.name === values.target)
if (chosen.length === 0) throw new Error(`--target is one of ${targets.map((t) => t.name).join(', ')}`)

/** How much more the heap may hold at the end than after the first minute, beyond the inputs themselves. */
const GROWTH_BYTES = 64 << 20
const heap = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const coverage = new Coverage('/src/sip/')
if (values.minimize !== undefined) {
  for (const { name, run } of chosen) {
    const all = [...kept(name), ...kept(name, values.minimize)]
    const chosenInputs = smallest({ name, run }, all, coverage)
    replaceKept(name, chosenInputs)
    console.log(`${name}: ${chosenInputs.length} of ${all.length}`)
  }
  process.exit(0)
}
const random = randomFrom(Number(values.seed))
const findings = new Set<string>()
const fuzzers = chosen.map((target) => ({
  target,
  fuzzer: new Fuzzer({
    target,
    inputs: inputsFor(target.name, values.corpus),
    random,
    coverage,
    onNew: (input) => {
      // Long ones cost every later run; what they reach, a short one reaches as well.
      if (input.length <= 4096) keep(target.name, input, values.corpus)
    },
    onFinding: ({ input, what }) => {
      const kind = `${target.name} ${what.split('\n').slice(0, 3).join(' ').slice(0, 160)}`
      if (findings.has(kind)) return
      findings.add(kind)
      const path = keep(target.name, input, values.corpus, 'finding-')
      console.log(`FINDING ${target.name}: ${what}\n  kept as ${path}`)
    },
  }),
}))

const started = performance.now()
const end = started + Number(values.minutes) * 60_000
let said = started
let warm: number | null = null
const report = (): void => {
  const minutes = ((performance.now() - started) / 60_000).toFixed(1)
  const each = fuzzers.map(
    ({ target, fuzzer }) =>
      `${target.name} ${fuzzer.runs} runs ${fuzzer.inputs} inputs ${fuzzer.features} features`,
  )
  console.log(`${minutes} min, ${findings.size} findings; ${each.join('; ')}; heap ${heap() >> 20} MiB`)
}
console.log(`seed ${values.seed}`)
for (let turn = 0; performance.now() < end; turn++) {
  // A target has the thread for a while, so that the coverage of others is not in its way.
  const current = fuzzers[turn % fuzzers.length]
  const until = Math.min(end, performance.now() + 2_000)
  coverage.take()
  while (performance.now() < until) current?.fuzzer.step()
  if (performance.now() - said > 60_000) {
    said = performance.now()
    report()
    warm ??= heap()
  }
}
report()
if (warm !== null && heap() - warm > GROWTH_BYTES) {
  console.log(`FINDING the heap grew by ${(heap() - warm) >> 20} MiB`)
  findings.add('growth')
}
coverage.close()
process.exitCode = findings.size === 0 ? 0 : 1
