import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { Page, PageRequest } from './port.ts'

/** Entries asked of the engine at once, whatever the reader wants: what it can give between two packets. */
const PIECE = 100
/** After each piece the engine is left alone for so many times as long as it took to answer … */
const REST = 3
/** … but not longer than this, ms: an engine that is slow because it is stuck says so by not answering. */
const MAX_REST_MS = 50

type Read<T> = (page: PageRequest) => Promise<Page<T>>

/**
 * A list is read in pieces, and the busier the engine, the slower: lists are for people and programs that can wait, and the CPU
 * that they cost is taken from calls. An idle engine gives some 60,000 entries a second.
 *
 * @param rest waits so many milliseconds; tests look at them
 */
async function* pieces<T>(
  read: Read<T>,
  { cursor, limit }: PageRequest,
  rest: (ms: number) => Promise<unknown> = pause,
): AsyncGenerator<Page<T>> {
  let from = cursor
  for (let left = limit; left > 0;) {
    const asked = performance.now()
    const page = await read({ limit: Math.min(PIECE, left), cursor: from })
    const tookMs = performance.now() - asked
    yield page
    left -= page.items.length
    from = page.next
    if (from === null) return
    if (left > 0) await rest(Math.min(MAX_REST_MS, tookMs * REST))
  }
}

/** One page of at most `limit` entries. */
export async function readPage<T>(
  read: Read<T>,
  request: PageRequest,
  rest?: (ms: number) => Promise<unknown>,
): Promise<Page<T>> {
  const items: T[] = []
  let next: string | null = null
  for await (const piece of pieces(read, request, rest)) {
    items.push(...piece.items)
    next = piece.next
  }
  return { items, next }
}

/**
 * A whole list as one JSON array, asked for piece by piece and only as fast as the reader reads.
 * The first piece is awaited here, so that an engine that does not answer is still an error and not half a list.
 */
export async function streamList<T>(read: Read<T>, cursor: string | null): Promise<Readable> {
  const all = pieces(read, { cursor, limit: Infinity })
  const first = await all.next()
  return Readable.from(jsonOf(first.done === true ? [] : first.value.items, all), { objectMode: false })
}

async function* jsonOf<T>(first: readonly T[], others: AsyncGenerator<Page<T>>): AsyncGenerator<string> {
  let separator = '['
  const text = (items: readonly T[]): string => {
    if (items.length === 0) return ''
    const entries = separator + JSON.stringify(items).slice(1, -1)
    separator = ','
    return entries
  }
  yield text(first)
  for await (const { items } of others) yield text(items)
  yield separator === '[' ? '[]' : ']'
}
