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
 *
 * Whoever reads the files says `begin` before and `follow` after it: what changes meanwhile is told at once.
 */
export class FileWatch {
  readonly #changed: (file: string) => void
  /** Digests of what the reader knows, by path. */
  #known = new Map<string, string>()
  #watchers: FSWatcher[] = []
  #settling: NodeJS.Timeout | null = null
  #poll: NodeJS.Timeout | null = null

  /** @param changed called once for each time that somebody looked; with one of the files that have changed */
  constructor(changed: (file: string) => void) {
    this.#changed = changed
  }

  /** The present content of these files, and of all that are followed, is about to be read: it counts as known. */
  async begin(files: readonly string[]): Promise<void> {
    for (const file of new Set([...this.#known.keys(), ...paths(files)]))
      this.#known.set(file, await digest(file))
  }

  /** These files (paths or file URLs) were read: watches them from here. Those that `begin` did not know count as known. */
  async follow(files: readonly string[]): Promise<void> {
    const known = new Map<string, string>()
    for (const file of paths(files)) known.set(file, this.#known.get(file) ?? (await digest(file)))
    this.#known = known
    const folders = new Set<string>()
    for (const file of known.keys()) {
      folders.add(dirname(file))
      folders.add(dirname(await realpath(file).catch(() => file)))
    }
    this.#stopWatching()
    for (const folder of folders) this.#watch(folder)
    this.#poll ??= setInterval(() => void this.#look(), POLL_MS).unref()
    await this.#look()
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
    const known = this.#known
    let changed: string | null = null
    for (const [file, before] of known) {
      const now = await digest(file)
      if (now === before) continue
      known.set(file, now)
      changed ??= file
    }
    // Followed anew meanwhile: that has looked for itself.
    if (changed !== null && known === this.#known) this.#changed(changed)
  }
}

function paths(files: readonly string[]): Set<string> {
  return new Set(files.map((file) => (file.startsWith('file:') ? fileURLToPath(file) : file)))
}

async function digest(file: string): Promise<string> {
  const content = await readFile(file).catch(() => 'missing')
  return createHash('sha256').update(content).digest('hex')
}
