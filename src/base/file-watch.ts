import { createHash } from 'node:crypto'
import { watch, type FSWatcher } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Editors write a file in several steps, and tools several files: quiet for so long, then look. Milliseconds. */
const SETTLE_MS = 250
/** Network and container file systems tell of no change: look anyway. Milliseconds. */
const POLL_MS = 30_000

/**
 * Tells when the content of one of some files has changed. Folders are watched, not files:
 * editors, `mv` and Kubernetes replace files, and a watch on the old one hears nothing.
 */
export class FileWatch {
  readonly #changed: () => void
  #files: readonly string[] = []
  #hash = ''
  #watchers: FSWatcher[] = []
  #settling: NodeJS.Timeout | null = null
  #poll: NodeJS.Timeout | null = null

  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** Takes the present content of these files (paths or file URLs) as known, and watches from here. */
  async follow(files: readonly string[]): Promise<void> {
    this.#files = [...new Set(files.map((f) => (f.startsWith('file:') ? fileURLToPath(f) : f)))].sort()
    this.#hash = await this.#read()
    const folders = new Set<string>()
    for (const file of this.#files) {
      folders.add(dirname(file))
      folders.add(dirname(await realpath(file).catch(() => file)))
    }
    this.#stopWatching()
    for (const folder of folders) this.#watch(folder)
    this.#poll ??= setInterval(() => void this.#look(), POLL_MS).unref()
  }

  close(): void {
    this.#stopWatching()
    if (this.#settling !== null) clearTimeout(this.#settling)
    if (this.#poll !== null) clearInterval(this.#poll)
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => {
        if (this.#settling !== null) clearTimeout(this.#settling)
        this.#settling = setTimeout(() => void this.#look(), SETTLE_MS).unref()
      })
      watcher.on('error', () => watcher.close())
      this.#watchers.push(watcher)
    } catch {
      // No watch to be had (limits, the folder is gone): the poll still looks.
    }
  }

  #stopWatching(): void {
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers = []
  }

  async #look(): Promise<void> {
    const hash = await this.#read()
    if (hash === this.#hash) return
    this.#hash = hash
    this.#changed()
  }

  async #read(): Promise<string> {
    const hash = createHash('sha256')
    for (const file of this.#files) {
      hash.update(file)
      hash.update(await readFile(file).catch(() => 'missing'))
    }
    return hash.digest('hex')
  }
}
