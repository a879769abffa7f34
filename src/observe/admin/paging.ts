import { Readable } from 'node:stream'
import type { Page, PageRequest } from './port.ts'

/** Entries asked of the engine at once when a list is sent whole: what it can answer between two packets. */
const CHUNK = 250

/**
 * A whole list as one JSON array, asked for piece by piece and only as fast as the reader reads.
 * The first piece is awaited here, so that an engine that does not answer is still an error and not half a list.
 */
export async function streamList<T>(
  read: (page: PageRequest) => Promise<Page<T>>,
  cursor: string | null,
): Promise<Readable> {
  const first = await read({ limit: CHUNK, cursor })
  return Readable.from(pieces(read, first), { objectMode: false })
}

async function* pieces<T>(
  read: (page: PageRequest) => Promise<Page<T>>,
  first: Page<T>,
): AsyncGenerator<string> {
  let page = first
  let separator = '['
  for (;;) {
    if (page.items.length > 0) {
      const text = JSON.stringify(page.items)
      yield separator + text.slice(1, -1)
      separator = ','
    }
    if (page.next === null) break
    page = await read({ limit: CHUNK, cursor: page.next })
  }
  yield separator === '[' ? '[]' : ']'
}
