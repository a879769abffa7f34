import type { BatchReader, Item } from '../conversation.ts'
import { show } from './checks.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { decodeText, encodeText } from './text.ts'

export interface CacheOptions {
  /** Lifetime in seconds; the cache's `local_ttl_secs` when not given. */
  readonly ttl?: number
}

const MAX_KEY = 1_024
const MAX_VALUE = 65_536

/**
 * Stores named in siphon.yaml (`cache:`), in the memory of the engine: all workers see the same, over reloads of the script
 * too; a restart of the server empties them. A full cache lets go of what was not used for longest, so nothing in it may be
 * relied upon. Values are texts of up to 64 KiB (JSON for anything else), keys up to 1 KiB, lists up to 10,000 texts.
 * Every verb throws a ScriptError for a cache that siphon.yaml does not name.
 */
export const cache = {
  /** The text under `key`; null when there is none, its time is over, or it is a list. */
  async fetch(name: string, key: string): Promise<string | null> {
    const value = (await ask('fetch', name, key)).text()
    return value === null ? null : decodeText(value)
  },

  async store(name: string, key: string, value: string, options: CacheOptions = {}): Promise<void> {
    await ask('store', name, key, textOf(value), lifetime(options.ttl))
  },

  /** Whether there was one. */
  async delete(name: string, key: string): Promise<boolean> {
    return (await ask('delete', name, key)).number() === 1
  },

  async exists(name: string, key: string): Promise<boolean> {
    return (await ask('exists', name, key)).number() === 1
  },

  /** Gives what is there a new lifetime, from now. False when there is nothing. */
  async expire(name: string, key: string, ttl: number): Promise<boolean> {
    return (await ask('expire', name, key, lifetime(ttl))).number() === 1
  },

  /** Adds to the end of a list, which is made when it is not there. @returns its length */
  async listPush(name: string, key: string, value: string, options: CacheOptions = {}): Promise<number> {
    return (await ask('listPush', name, key, textOf(value), lifetime(options.ttl))).number()
  },

  /** Takes the whole list, which is gone then: no other handler gets the same. Empty when there is none. */
  async listPopAll(name: string, key: string): Promise<string[]> {
    const reader = await ask('listPopAll', name, key)
    return Array.from({ length: reader.number() }, () => decodeText(reader.string()))
  },

  async listLen(name: string, key: string): Promise<number> {
    return (await ask('listLen', name, key)).number()
  },

  /** Whether siphon.yaml names this cache. */
  hasCache(name: string): boolean {
    return services().settings.caches?.includes(name) ?? false
  },
}

function ask(verb: string, name: string, key: string, ...more: Item[]): Promise<BatchReader> {
  if (!cache.hasCache(name))
    throw new ScriptError(`cache: ${show(name)} is not named under cache: in siphon.yaml`)
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY) {
    throw new ScriptError(`cache: ${show(key)} is not a key: a text of 1 to ${MAX_KEY} characters`)
  }
  return services().call(`cache.${verb}`, name, encodeText(key), ...more)
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') {
    throw new ScriptError(`cache: ${show(value)} is not a text; JSON.stringify makes one of anything`)
  }
  const text = encodeText(value)
  if (text.length > MAX_VALUE)
    throw new ScriptError(`cache: a value of ${text.length} bytes; the most is ${MAX_VALUE}`)
  return text
}

/** @returns milliseconds; -1: the cache's own */
function lifetime(seconds: number | undefined): number {
  if (seconds === undefined) return -1
  if (typeof seconds !== 'number' || !(seconds > 0 && seconds <= 31_536_000)) {
    throw new ScriptError(`cache: ${show(seconds)} is not a lifetime: above 0 to 31536000 seconds`)
  }
  return seconds * 1000
}
