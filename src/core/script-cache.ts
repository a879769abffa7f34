import type { Clock } from '../base/clock.ts'

export interface CacheSettings {
  readonly name: string
  /** Lifetime of what is stored without one; null: none. */
  readonly ttlMs: number | null
  readonly maxEntries: number
}

/** Most bytes of keys and values in one cache: many large values make room like many keys. */
const MAX_BYTES = 64 * 1024 * 1024
export const MAX_VALUE_BYTES = 65_536
export const MAX_KEY_BYTES = 1_024
export const MAX_LIST_ITEMS = 10_000

interface Entry {
  value: string | string[]
  bytes: number
  /** Monotonic ms; Infinity: never. */
  until: number
}

/**
 * A store of texts and lists of texts, bounded in keys and in bytes: what was not used for longest makes room. Texts are
 * binary text. An entry whose time is over is not there, and is let go when it is met or makes room.
 */
export class ScriptCache {
  readonly #clock: Clock
  readonly #settings: CacheSettings
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0
  #evicted = 0

  constructor(clock: Clock, settings: CacheSettings) {
    this.#clock = clock
    this.#settings = settings
  }

  get name(): string {
    return this.#settings.name
  }

  /** Keys held, those included whose time is over and that have not been met since. */
  get size(): number {
    return this.#entries.size
  }

  /** Keys that had to make room, ever. */
  get evicted(): number {
    return this.#evicted
  }

  /** Null when there is none, or a list. */
  fetch(key: string): string | null {
    const value = this.#use(key)?.value
    return typeof value === 'string' ? value : null
  }

  /** @param ttlMs null: the cache's own lifetime */
  store(key: string, value: string, ttlMs: number | null): void {
    this.#put(key, value, value.length, this.#until(ttlMs))
  }

  delete(key: string): boolean {
    const there = this.#live(key) !== undefined
    this.#drop(key)
    return there
  }

  exists(key: string): boolean {
    return this.#live(key) !== undefined
  }

  /** A new lifetime, from now. False when there is no such key. */
  expire(key: string, ttlMs: number): boolean {
    const entry = this.#live(key)
    if (entry === undefined) return false
    entry.until = this.#until(ttlMs)
    return true
  }

  /**
   * Adds to the end of a list, which it makes. @returns its length; null when the list is full. A text of that key is replaced.
   * @param ttlMs null: what the list has, or the cache's own
   */
  listPush(key: string, value: string, ttlMs: number | null): number | null {
    const entry = this.#use(key)
    const items = Array.isArray(entry?.value) ? entry.value : []
    if (items.length >= MAX_LIST_ITEMS) return null
    const bytes = (Array.isArray(entry?.value) ? (entry?.bytes ?? 0) : 0) + value.length
    items.push(value)
    const until = ttlMs === null && entry !== undefined ? entry.until : this.#until(ttlMs)
    this.#put(key, items, bytes, until)
    return items.length
  }

  /** Takes the list away; empty when there is none. */
  listPopAll(key: string): readonly string[] {
    const value = this.#live(key)?.value
    if (!Array.isArray(value)) return []
    this.#drop(key)
    return value
  }

  /** 0 when there is none. */
  listLen(key: string): number {
    const value = this.#live(key)?.value
    return Array.isArray(value) ? value.length : 0
  }

  #until(ttlMs: number | null): number {
    const ms = ttlMs ?? this.#settings.ttlMs
    return ms === null ? Infinity : this.#clock.now() + ms
  }

  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.until > this.#clock.now()) return entry
    this.#drop(key)
    return undefined
  }

  #use(key: string): Entry | undefined {
    const entry = this.#live(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry
  }

  #put(key: string, value: string | string[], bytes: number, until: number): void {
    this.#drop(key)
    this.#entries.set(key, { value, bytes, until })
    this.#bytes += key.length + bytes
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= this.#settings.maxEntries && this.#bytes <= MAX_BYTES) break
      if (entry.until > this.#clock.now()) this.#evicted++
      this.#drop(oldest)
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= key.length + entry.bytes
  }
}
