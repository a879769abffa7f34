import { renameSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { BindingMoved, BindingRow } from '../spine/bindings.ts'

export interface RegistrationStoreOptions {
  readonly path: string
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void
  /** Milliseconds since the Unix epoch. */
  readonly wallTime: () => number
}

/** What the metrics want to know of it. */
export interface StoreLevels {
  /** Bindings put back at start. */
  readonly restored: number
  /** Changes that wait to be written. */
  readonly pending: number
  readonly written: number
  /** Attempts to write that failed; what they held was kept and tried again. */
  readonly failures: number
  /** Removals that were forgotten because the file could not be written for too long. */
  readonly dropped: number
  readonly up: boolean
}

/** From a change to its write, at most; with the engine's 10 ms well below the second that is promised. */
const WRITE_MS = 250
/** Rows of one transaction, some 20 ms: the control thread serves others in between. */
const SLICE = 4_000
const RETRY_MS = 2_000
/** Changes kept for a file that cannot be written. Living bindings are as many as there are; past this, removals go. */
const MAX_PENDING = 500_000
const PAGE = 2_000
const VERSION = 1

const COLUMNS = [
  'id',
  'aor',
  'uri',
  'q',
  'params',
  'instance',
  'regId',
  'expiresAt',
  'updatedAt',
  'callId',
  'cseq',
  'protocol',
  'received',
  'local',
  'nated',
  'path',
  'userAgent',
] as const

/**
 * Registrations in a SQLite file, so that they outlive the process: write-behind, for the control thread.
 *
 * Nothing waits for it. Changes gather by binding, the last one counts, and are written four times a second in one
 * transaction; a killed process loses those of the last moments and nothing else (WAL). A file that cannot be written
 * (full disk, rights) is tried again and said aloud; one that cannot be read is moved aside. The server never stops for it.
 */
export class RegistrationStore {
  readonly #o: RegistrationStoreOptions
  #db: DatabaseSync | null = null
  #put: StatementSync | null = null
  #delete: StatementSync | null = null
  readonly #pending = new Map<number, BindingRow | null>()
  #timer: NodeJS.Timeout | null = null
  #restored = 0
  #written = 0
  #failures = 0
  #dropped = 0
  #failing = false
  #closed = false

  constructor(options: RegistrationStoreOptions) {
    this.#o = options
  }

  /** Opens the file, or makes one. One that is broken is moved aside first. Never throws. */
  open(): void {
    try {
      this.#connect()
    } catch (error) {
      if (!isBroken(error)) return this.#failed('cannot be opened', error)
      this.#moveAside(error)
      try {
        this.#connect()
      } catch (again) {
        this.#failed('cannot be opened', again)
      }
    }
  }

  /** The secret of this node, drawn with `draw` when the file has none; null without a file. */
  secret(draw: () => Uint8Array): Uint8Array | null {
    if (this.#db === null) return null
    try {
      const known = this.#db.prepare("SELECT value FROM meta WHERE key = 'secret'").get()
      if (known?.['value'] instanceof Uint8Array) return known['value']
      const drawn = draw()
      this.#db.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('secret', ?)").run(drawn)
      return drawn
    } catch (error) {
      this.#failed('cannot keep a secret', error)
      return null
    }
  }

  /** What was kept and has not expired, page by page. Expired rows are deleted. */
  *load(): Generator<readonly BindingRow[]> {
    if (this.#db === null) return
    try {
      this.#db.prepare('DELETE FROM bindings WHERE expiresAt <= ?').run(Math.round(this.#o.wallTime()))
      const select = this.#db.prepare(
        `SELECT ${COLUMNS.join(', ')} FROM bindings WHERE id > ? ORDER BY id LIMIT ${PAGE}`,
      )
      let last = 0
      for (;;) {
        const rows = select
          .all(last)
          .map((row) => ({ ...row, nated: row['nated'] === 1 }) as unknown as BindingRow)
        if (rows.length === 0) return
        yield rows
        last = rows.at(-1)?.id ?? Infinity
      }
    } catch (error) {
      this.#failed('cannot be read', error)
    }
  }

  /** `count` more bindings have been put back. */
  restored(count: number): void {
    this.#restored += count
  }

  accept(changes: readonly BindingMoved[]): void {
    for (const change of changes) {
      if (change.what === 'put') this.#pending.set(change.row.id, change.row)
      else this.#pending.set(change.id, null)
    }
    if (this.#pending.size > MAX_PENDING) this.#forgetRemovals()
    if (this.#pending.size > 0) this.#schedule(WRITE_MS)
  }

  levels(): StoreLevels {
    return {
      restored: this.#restored,
      pending: this.#pending.size,
      written: this.#written,
      failures: this.#failures,
      dropped: this.#dropped,
      up: this.#db !== null && !this.#failing,
    }
  }

  /** Writes what waits, and closes the file. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    while (this.#pending.size > 0 && this.#write()) continue
    if (this.#pending.size > 0) {
      this.#o.log('error', `${this.#pending.size} changes of registrations could not be kept`)
    }
    this.#disconnect()
  }

  #schedule(ms: number): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(
      () => {
        this.#timer = null
        const good = this.#write()
        if (this.#pending.size > 0) this.#schedule(good ? 1 : RETRY_MS)
      },
      this.#failing ? RETRY_MS : ms,
    )
  }

  /** One slice of what waits, in one transaction; what could not be written goes on waiting. */
  #write(): boolean {
    if (this.#db === null) {
      this.open()
      if (this.#db === null) return false
    }
    const db: DatabaseSync = this.#db
    const done: (readonly [number, BindingRow | null])[] = []
    try {
      db.exec('BEGIN IMMEDIATE')
      for (const entry of this.#pending) {
        const [id, row] = entry
        if (row === null) this.#delete?.run(id)
        else this.#put?.run(...COLUMNS.map((name) => (name === 'nated' ? Number(row.nated) : row[name])))
        if (done.push(entry) >= SLICE) break
      }
      db.exec('COMMIT')
    } catch (error) {
      try {
        db.exec('ROLLBACK')
      } catch {
        // There is no transaction any more: the error has ended it.
      }
      this.#failed('cannot be written', error)
      if (isBroken(error)) {
        this.#disconnect()
        this.#moveAside(error)
      }
      return false
    }
    for (const [id] of done) this.#pending.delete(id)
    this.#written += done.length
    if (this.#failing) this.#o.log('info', `registrar.sqlite: ${this.#o.path} can be written again`)
    this.#failing = false
    return true
  }

  #connect(): void {
    const db = new DatabaseSync(this.#o.path)
    try {
      // One process alone: a second one with the same file would give out the same numbers.
      db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
      const check = Object.values(db.prepare('PRAGMA quick_check(1)').get() ?? {})[0]
      if (check !== 'ok') throw new BrokenFile(String(check))
      const version = Object.values(db.prepare('PRAGMA user_version').get() ?? {})[0]
      if (version !== 0 && version !== VERSION) throw new BrokenFile(`its format is ${String(version)}`)
      db.exec(`
        CREATE TABLE IF NOT EXISTS bindings (
          id INTEGER PRIMARY KEY, aor TEXT NOT NULL, uri TEXT NOT NULL, q REAL NOT NULL, params TEXT NOT NULL,
          instance TEXT, regId INTEGER, expiresAt INTEGER NOT NULL, updatedAt INTEGER NOT NULL, callId TEXT NOT NULL,
          cseq INTEGER NOT NULL, protocol TEXT NOT NULL, received TEXT NOT NULL, local TEXT NOT NULL,
          nated INTEGER NOT NULL, path TEXT NOT NULL, userAgent TEXT) STRICT;
        CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
        PRAGMA user_version = ${VERSION};`)
      this.#put = db.prepare(
        `INSERT OR REPLACE INTO bindings (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})`,
      )
      this.#delete = db.prepare('DELETE FROM bindings WHERE id = ?')
      this.#db = db
    } catch (error) {
      db.close()
      throw error
    }
  }

  #disconnect(): void {
    const db = this.#db
    this.#db = null
    try {
      db?.close()
    } catch (error) {
      this.#o.log('warn', `registrar.sqlite: ${this.#o.path} did not close: ${textOf(error)}`)
    }
  }

  #moveAside(error: unknown): void {
    const stamp = new Date(this.#o.wallTime()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const aside = `${this.#o.path}.corrupt-${stamp}`
    this.#o.log('error', `registrar.sqlite: ${this.#o.path} is broken (${textOf(error)}); moved to ${aside}`)
    for (const suffix of ['', '-wal', '-shm']) {
      try {
        renameSync(this.#o.path + suffix, aside + suffix)
      } catch {
        // Not every one of the three is there.
      }
    }
  }

  /** Said once until it works again. */
  #failed(what: string, error: unknown): void {
    this.#failures++
    if (!this.#failing) {
      this.#o.log(
        'error',
        `registrar.sqlite: ${this.#o.path} ${what}: ${textOf(error)}; registrations go on in memory`,
      )
    }
    this.#failing = true
  }

  /** A row that should have gone expires by itself; one that should be there cannot be had back. */
  #forgetRemovals(): void {
    for (const [id, row] of this.#pending) {
      if (row !== null) continue
      this.#pending.delete(id)
      this.#dropped++
    }
  }
}

class BrokenFile extends Error {}

/** SQLITE_CORRUPT, SQLITE_NOTADB. */
function isBroken(error: unknown): boolean {
  if (error instanceof BrokenFile) return true
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' && ((code & 0xff) === 11 || (code & 0xff) === 26)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
