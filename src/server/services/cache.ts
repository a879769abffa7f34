import type { ScriptCache } from '../../core/script-cache.ts'
import type { BatchReader, Item, Service } from '../../script/conversation.ts'

/** `cache.*` of scripts, on the engine thread, so that all workers see the same. Arguments: cache, key, and what the verb needs. */
export function cacheServices(caches: ReadonlyMap<string, ScriptCache>): [string, Service][] {
  const verb = (
    name: string,
    run: (cache: ScriptCache, key: string, args: BatchReader) => Item[],
  ): [string, Service] => [
    `cache.${name}`,
    (args, answer) => {
      const called = args.string()
      const cache = caches.get(called)
      if (cache === undefined) throw new Error(`there is no cache ${called} in siphon.yaml`)
      answer(run(cache, args.string(), args))
    },
  ]
  return [
    verb('fetch', (cache, key) => [cache.fetch(key)]),
    verb('store', (cache, key, args) => {
      cache.store(key, args.string(), lifetime(args))
      return []
    }),
    verb('delete', (cache, key) => [Number(cache.delete(key))]),
    verb('exists', (cache, key) => [Number(cache.exists(key))]),
    verb('expire', (cache, key, args) => [Number(cache.expire(key, args.number()))]),
    verb('listPush', (cache, key, args) => {
      const length = cache.listPush(key, args.string(), lifetime(args))
      if (length === null) throw new Error('the list is full')
      return [length]
    }),
    verb('listPopAll', (cache, key) => {
      const items = cache.listPopAll(key)
      return [items.length, ...items]
    }),
    verb('listLen', (cache, key) => [cache.listLen(key)]),
  ]
}

/** Milliseconds; below 0: the cache's own. */
function lifetime(args: BatchReader): number | null {
  const ms = args.number()
  return ms < 0 ? null : ms
}
