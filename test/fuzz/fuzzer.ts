import { Coverage } from './coverage.ts'
import { mutate } from './mutate.ts'
import type { Target } from './targets.ts'

/** What an input of at most 64 KiB may take, ms of CPU: a busy machine is no finding. */
export const SLOW_MS = 50
/** Looking at the coverage costs as much as a hundred inputs: they are run in batches, and a batch with news one by one. */
const BATCH = 64

export interface Finding {
  readonly input: Buffer
  readonly what: string
}

export interface FuzzerOptions {
  readonly target: Target
  readonly inputs: readonly Buffer[]
  readonly random: () => number
  readonly coverage: Coverage
  readonly onNew: (input: Buffer) => void
  readonly onFinding: (finding: Finding) => void
}

/** Runs changed inputs and keeps those that reach code, or repetitions of it, that none before them reached. */
export class Fuzzer {
  readonly #o: FuzzerOptions
  readonly #inputs: Buffer[]
  readonly #seen = new Set<string>()
  #runs = 0

  constructor(options: FuzzerOptions) {
    this.#o = options
    this.#inputs = [...options.inputs]
    options.coverage.take()
    for (const input of this.#inputs) this.#check(input)
    for (const feature of options.coverage.take()) this.#seen.add(feature)
  }

  get runs(): number {
    return this.#runs
  }

  get features(): number {
    return this.#seen.size
  }

  get inputs(): number {
    return this.#inputs.length
  }

  /** One batch. */
  step(): void {
    const { random, coverage } = this.#o
    const pick = (): Buffer => this.#inputs[Math.floor(random() * this.#inputs.length)] ?? Buffer.alloc(0)
    const batch = Array.from({ length: BATCH }, () => mutate(pick(), pick(), random))
    for (const input of batch) this.#check(input)
    const fresh = coverage.take().filter((feature) => !this.#seen.has(feature))
    if (fresh.length === 0) return
    // The counts of a whole batch are no news: each input must show it alone.
    for (const input of batch) {
      run(this.#o.target, input)
      const news = coverage.take().filter((feature) => !this.#seen.has(feature))
      if (news.length === 0) continue
      for (const feature of news) this.#seen.add(feature)
      this.#inputs.push(input)
      this.#o.onNew(input)
    }
    for (const feature of fresh) this.#seen.add(feature)
  }

  #check(input: Buffer): void {
    this.#runs++
    const begun = cpuMs()
    const what = run(this.#o.target, input)
    if (what !== null) {
      this.#o.onFinding({ input, what })
      return
    }
    if (cpuMs() - begun < SLOW_MS) return
    // The collector, code that was not compiled yet, or the input: the best of three tells.
    const best = Math.min(...[1, 2, 3].map(() => timed(this.#o.target, input)))
    if (best >= SLOW_MS) this.#o.onFinding({ input, what: `takes ${best.toFixed(0)} ms` })
  }
}

function timed(target: Target, input: Buffer): number {
  const begun = cpuMs()
  run(target, input)
  return cpuMs() - begun
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** What is wrong with how the target takes the input; null when nothing is. */
export function run(target: Target, input: Buffer): string | null {
  try {
    target.run(input)
    return null
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
}

/** The shortest of the inputs that together reach every block that they reach, however often; in order of length. */
export function smallest(target: Target, inputs: readonly Buffer[], coverage: Coverage): Buffer[] {
  const seen = new Set<string>()
  coverage.take()
  return [...inputs]
    .sort((a, b) => a.length - b.length)
    .filter((input) => {
      run(target, input)
      const reached = coverage.take().map((feature) => feature.slice(0, feature.lastIndexOf(':')))
      const news = reached.filter((block) => !seen.has(block))
      for (const block of news) seen.add(block)
      return news.length > 0
    })
}
