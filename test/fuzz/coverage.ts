import { Session, type Profiler } from 'node:inspector'

/**
 * Which blocks of our own sources ran since the last look, by V8's precise coverage. A feature is a block and the
 * magnitude of how often it ran, so that a loop that runs longer counts as news.
 */
export class Coverage {
  readonly #session = new Session()
  readonly #part: string

  /** @param part of the URL of the scripts that are looked at */
  constructor(part: string) {
    this.#part = part
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** The features since the last call. */
  take(): string[] {
    let scripts: readonly Profiler.ScriptCoverage[] = []
    this.#session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error) throw error
      scripts = taken.result
    })
    const features: string[] = []
    for (const { url, functions } of scripts) {
      if (!url.includes(this.#part)) continue
      const file = url.slice(url.indexOf(this.#part) + this.#part.length)
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) features.push(`${file}:${startOffset}-${endOffset}:${32 - Math.clz32(count)}`)
        }
      }
    }
    return features
  }

  close(): void {
    this.#session.disconnect()
  }
}
