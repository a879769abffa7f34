import { appendFile, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { timestamp } from './record.ts'
import type { Entry } from './outbox.ts'

/** The file for records that a collector will never take: `{"at","sink","reason","record"}`, a line each. */
export class DeadLetters {
  readonly #path: string | null
  readonly #clock: Clock
  #last: Promise<unknown> = Promise.resolve()

  /** @param path null: dead records are only counted */
  constructor(path: string | null, clock: Clock) {
    this.#path = path
    this.#clock = clock
  }

  /** False when the file could not be written: the record is not safe yet. */
  async write(sink: string, reason: string, entry: Entry): Promise<boolean> {
    const path = this.#path
    if (path === null) return true
    const at = timestamp(this.#clock.wallTime())
    const line = `{"at":${JSON.stringify(at)},"sink":${JSON.stringify(sink)},"reason":${JSON.stringify(reason)},"record":${entry.line}}\n`
    // One after the other, so that lines never mix.
    const mine = this.#last.then(async () => {
      await mkdir(dirname(path), { recursive: true })
      await appendFile(path, line, { mode: 0o640 })
    })
    this.#last = mine.catch(() => undefined)
    return mine.then(
      () => true,
      () => false,
    )
  }
}
