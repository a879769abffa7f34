import { unlinkSync } from 'node:fs'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Entry } from './outbox.ts'

/**
 * What a sink could not deliver before the process ended: JSON Lines, written whole and renamed into place, so that a crash
 * leaves either the old file or the new one. The next start queues it again and removes the file when the last of it is settled:
 * a crash between costs a repetition (with the same `id`), never a record.
 */
export class Spool {
  readonly #dir: string
  readonly #path: string
  #loaded = new Set<Entry>()

  constructor(dir: string, sink: string) {
    this.#dir = dir
    this.#path = join(dir, `spool-${sink}.jsonl`)
  }

  get path(): string {
    return this.#path
  }

  /** The records of the last run, and how many lines were none. */
  async load(at: number): Promise<{ entries: Entry[]; faults: number }> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    const entries: Entry[] = []
    let faults = 0
    for (const line of text.split('\n')) {
      if (line === '') continue
      const id = idOf(line)
      if (id === null) faults++
      else entries.push({ id, line, at, failures: 0 })
    }
    this.#loaded = new Set(entries)
    return { entries, faults }
  }

  /** A loaded record is settled; with the last one the file goes. */
  settled(entry: Entry): void {
    if (!this.#loaded.delete(entry) || this.#loaded.size > 0) return
    try {
      // At once: done later, it could take away the file that `save` is about to write.
      unlinkSync(this.#path)
    } catch {
      // Not there, or not ours to remove: the next start delivers it once more.
    }
  }

  /** Replaces the file by these. Rejects when the disk does; on one that is gone it never ends. */
  async save(entries: readonly Entry[]): Promise<void> {
    // From here on the file is that of the next run.
    this.#loaded.clear()
    await mkdir(this.#dir, { recursive: true })
    const next = `${this.#path}.next`
    const handle = await open(next, 'w', 0o640)
    try {
      await handle.writeFile(entries.map((e) => `${e.line}\n`).join(''))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(next, this.#path)
  }
}

function idOf(line: string): string | null {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || !('id' in value)) return null
    return typeof value.id === 'string' ? value.id : null
  } catch {
    return null
  }
}
