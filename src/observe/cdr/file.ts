import { constants } from 'node:fs'
import { appendFile, link, mkdir, open, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Backoff } from '../../base/backoff.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { RareLog } from '../../base/rare-log.ts'
import { within } from '../../base/within.ts'
import type { Entry, Outbox, Sink } from './outbox.ts'

export interface FileSinkOptions {
  readonly path: string
  /** The file is renamed before it would grow past this. 0: never. */
  readonly rotateBytes: number
  readonly outbox: Outbox
  readonly clock: Clock
  readonly rare: RareLog
  /** Records of so many milliseconds are written together. Default 50. */
  readonly lingerMs?: number
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
}

const MAX_BATCH_BYTES = 1 << 20
const MAX_BATCH_RECORDS = 4096
const SYNC_MS = 1000
const TAIL_BYTES = 1 << 20
/** A disk that has not answered for so long at the end is not waited for, ms. */
const CLOSE_MS = 2000

/**
 * JSON Lines in a file: one descriptor, many records a write, whole lines only.
 *
 * Delivered means written; it is on the disk itself (fdatasync) within a second. A write that fails half-way is cut back to the
 * last whole line and done again. The file may be moved or removed under us at any time (logrotate): that is seen before each
 * write. `copytruncate` works too, but what is written between its copy and its truncation is lost: use `create`.
 */
export class FileSink implements Sink {
  readonly outbox: Outbox
  readonly #o: FileSinkOptions
  readonly #backoff: Backoff
  readonly #lingerMs: number
  #handle: FileHandle | null = null
  /** Of the open file: while the path leads to the same, one `stat` tells its size as well. */
  #ino = 0
  #dev = 0
  /** Written to no file yet, or not wholly: the next write starts with these. */
  #batch: Entry[] = []
  /** The last batch was cut short: by its size or by the room in the file. */
  #more = false
  #timer: Timer | null = null
  #running: Promise<void> | null = null
  #wantReopen = false
  #dirty = false
  #syncing: Promise<void> | null = null
  #syncTimer: Timer | null = null
  #failing = false
  #closed = false

  constructor(options: FileSinkOptions) {
    this.outbox = options.outbox
    this.#o = options
    this.#lingerMs = options.lingerMs ?? 50
    this.#backoff = new Backoff(options.minBackoffMs ?? 500, options.maxBackoffMs ?? 10_000)
  }

  /** Opens the file at once, so that a path that cannot be written is said at start and not at the first call. */
  start(): void {
    this.#run()
  }

  wake(): void {
    if (this.#timer || this.#running || this.#closed) return
    this.#timer = this.#o.clock.startTimer(this.#lingerMs, () => this.#run())
  }

  hurry(): void {
    if (!this.#running && !this.#closed) this.#run()
  }

  reopen(): void {
    this.#wantReopen = true
    this.hurry()
  }

  async close(): Promise<Entry[]> {
    this.#closed = true
    this.#timer?.cancel()
    this.#syncTimer?.cancel()
    const { clock, path, rare } = this.#o
    // A write to a disk that is gone comes back never, and cannot be called off. What it holds is given back: should it end
    // after all, those records are there twice, with the same id.
    const ended = (this.#running ?? Promise.resolve()).then(() => this.#closeFile())
    if (!(await within(clock, CLOSE_MS, ended)))
      rare.say('file stuck', 'error', `CDR file ${path}: a write does not end; it is given up`)
    const held = this.#batch
    this.#batch = []
    return held
  }

  #run(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#running = this.#work().finally(() => {
      this.#running = null
      if (this.#closed) return
      if (this.#failing) this.#timer = this.#o.clock.startTimer(this.#backoff.next(), () => this.#run())
      else if (this.outbox.waiting > 0) this.wake()
    })
  }

  async #work(): Promise<void> {
    try {
      do await this.#write()
      while (!this.#closed && this.#more)
      if (this.#failing) this.#o.rare.say('file up', 'info', `CDR file ${this.#o.path}: written again`)
      this.#failing = false
      this.#backoff.reset()
    } catch (error) {
      this.#failing = true
      for (const entry of this.#batch) this.outbox.failed(entry)
      const { code, message } = error as NodeJS.ErrnoException
      this.#o.rare.say(
        `file ${code}`,
        'error',
        `CDR file ${this.#o.path} (cdr.file.path): ${message}; ${this.outbox.queued} records wait`,
      )
    }
  }

  /** One batch: everything that waits, up to the room left in this file. */
  async #write(): Promise<void> {
    const size = await this.#ready()
    if (this.#batch.length === 0) {
      const limit = this.#o.rotateBytes
      this.#batch = this.#collect(limit > 0 ? Math.min(MAX_BATCH_BYTES, limit - size) : MAX_BATCH_BYTES)
      if (this.#batch.length === 0) return
    }
    const handle = this.#handle
    if (!handle) throw new Error('no file')
    const bytes = Buffer.from(this.#batch.map((e) => `${e.line}\n`).join(''))
    let done = 0
    try {
      while (done < bytes.length) done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten
    } catch (error) {
      // The whole lines among those bytes stay; not even a part of another may. Should cutting fail too, the file is
      // opened anew, which repairs its end.
      const kept = this.#deliver(done)
      if (done > kept) await handle.truncate(size + kept).catch(() => this.#closeFile())
      throw error
    }
    this.#deliver(done)
  }

  /** Counts the records that lie wholly in the first `bytes` of the batch as delivered. Returns their length. */
  #deliver(bytes: number): number {
    let length = 0
    let count = 0
    for (const entry of this.#batch) {
      const end = length + Buffer.byteLength(entry.line) + 1
      if (end > bytes) break
      length = end
      count++
    }
    const done = this.#batch.splice(0, count)
    for (const entry of done) this.outbox.delivered(entry)
    if (count > 0) this.#markDirty()
    return length
  }

  #collect(room: number): Entry[] {
    const batch: Entry[] = []
    let bytes = 0
    for (let next = this.outbox.peek(); next; next = this.outbox.peek()) {
      const length = Buffer.byteLength(next.line) + 1
      // One record goes out whatever its size.
      if (batch.length > 0 && (bytes + length > room || batch.length >= MAX_BATCH_RECORDS)) break
      const entry = this.outbox.take()
      if (!entry) break
      batch.push(entry)
      bytes += length
    }
    this.#more = this.outbox.waiting > 0
    return batch
  }

  /** Makes sure that the handle is the file at the path, with room in it. Returns its size. */
  async #ready(): Promise<number> {
    const { path, rotateBytes } = this.#o
    if (this.#wantReopen) {
      this.#wantReopen = false
      await this.#closeFile()
    }
    if (this.#handle) {
      const there = await stat(path).catch(() => null)
      if (!there || there.ino !== this.#ino || there.dev !== this.#dev) await this.#closeFile()
      else if (rotateBytes > 0 && there.size > 0 && there.size + this.#nextBytes() > rotateBytes)
        await this.#rotate()
      else return there.size
    }
    await mkdir(dirname(path), { recursive: true })
    const handle = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o640)
    this.#handle = handle
    try {
      const own = await handle.stat()
      this.#ino = own.ino
      this.#dev = own.dev
      const size = await this.#repair(handle, own.size)
      if (!(rotateBytes > 0 && size > 0 && size + this.#nextBytes() > rotateBytes)) return size
    } catch (error) {
      await this.#closeFile()
      throw error
    }
    await this.#rotate()
    return this.#ready()
  }

  /** Bytes that the next write needs at least. */
  #nextBytes(): number {
    const next = this.#batch.length > 0 ? this.#batch : [this.outbox.peek()]
    return next.reduce((sum, e) => sum + (e ? Buffer.byteLength(e.line) + 1 : 0), 0)
  }

  /**
   * A process that was killed may have left a last line without an end. A whole record gets its end; a part of one, which
   * no reader could use, is moved to `<path>.torn`.
   */
  async #repair(handle: FileHandle, size: number): Promise<number> {
    if (size === 0) return 0
    const from = Math.max(0, size - TAIL_BYTES)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from)
    const tail = buffer.subarray(0, bytesRead)
    const start = tail.lastIndexOf(10) + 1
    if (start === tail.length) return size
    const line = tail.subarray(start)
    if (isRecord(line)) {
      await handle.write('\n')
      return size + 1
    }
    await appendFile(`${this.#o.path}.torn`, Buffer.concat([line, Buffer.from('\n')]))
    await handle.truncate(from + start)
    this.#o.rare.say(
      'file torn',
      'warn',
      `CDR file ${this.#o.path}: a torn last line was moved to ${this.#o.path}.torn`,
    )
    return from + start
  }

  async #rotate(): Promise<void> {
    const { path, clock } = this.#o
    const base = `${path}.${new Date(clock.wallTime()).toISOString().replace(/[-:.]/g, '')}`
    for (let n = 0; ; n++) {
      const target = n === 0 ? base : `${base}-${n}`
      try {
        // link refuses an existing target, where rename would overwrite it.
        await link(path, target)
        await unlink(path)
        break
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EEXIST') continue
        if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error
        if (await stat(target).catch(() => null)) continue
        await rename(path, target)
        break
      }
    }
    await this.#closeFile()
  }

  async #closeFile(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    await this.#syncing
    if (!handle) return
    if (this.#dirty) await handle.datasync().catch(() => undefined)
    this.#dirty = false
    await handle.close().catch(() => undefined)
  }

  #markDirty(): void {
    this.#dirty = true
    if (this.#syncTimer || this.#closed) return
    this.#syncTimer = this.#o.clock.startTimer(SYNC_MS, () => {
      this.#syncTimer = null
      const handle = this.#handle
      if (!handle || !this.#dirty || this.#syncing) return
      this.#dirty = false
      // Beside the writes, not between them: a disk that takes half a second to sync delays nobody.
      this.#syncing = handle
        .datasync()
        .catch((error: Error) =>
          this.#o.rare.say('file sync', 'error', `CDR file ${this.#o.path}: ${error.message}`),
        )
        .finally(() => {
          this.#syncing = null
        })
    })
  }
}

function isRecord(line: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(line.toString())
    return typeof value === 'object' && value !== null
  } catch {
    return false
  }
}
