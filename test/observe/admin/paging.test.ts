import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readPage, streamList } from '../../../src/observe/admin/paging.ts'
import type { Page, PageRequest } from '../../../src/observe/admin/port.ts'

/** Numbers from 0, as an engine gives them that takes so long for each piece. */
function numbers(
  count: number,
  tookMs = 0,
): { asked: PageRequest[]; read(p: PageRequest): Promise<Page<number>> } {
  const asked: PageRequest[] = []
  return {
    asked,
    read: async (page) => {
      asked.push(page)
      for (const begun = performance.now(); performance.now() - begun < tookMs;);
      const from = Number(page.cursor ?? 0)
      const to = Math.min(count, from + page.limit)
      const items = Array.from({ length: to - from }, (_, i) => from + i)
      return { items, next: to < count ? String(to) : null }
    },
  }
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i)

describe('a list', () => {
  it('is read a hundred entries at a time, whatever the page', async () => {
    const { asked, read } = numbers(1_000)
    const rests: number[] = []
    const page = await readPage(read, { cursor: null, limit: 350 }, async (ms) => rests.push(ms))
    assert.deepEqual(page, { items: upTo(350), next: '350' })
    assert.deepEqual(
      asked.map(({ limit, cursor }) => [limit, cursor]),
      [
        [100, null],
        [100, '100'],
        [100, '200'],
        [50, '300'],
      ],
    )
    assert.equal(rests.length, 3, 'a rest between two pieces, and none after the last')
  })

  it('ends where its entries do, also between two pieces', async () => {
    for (const count of [0, 1, 99, 100, 101, 200]) {
      const { read } = numbers(count)
      assert.deepEqual(await readPage(read, { cursor: null, limit: 300 }), { items: upTo(count), next: null })
      const whole = await (await streamList(numbers(count).read, null)).toArray()
      assert.deepEqual(JSON.parse(whole.join('')), upTo(count))
    }
  })

  it('leaves the engine alone for three times as long as a piece took, and never for more than 50 ms', async () => {
    for (const [tookMs, least, most] of [
      [5, 15, 50],
      [40, 50, 50],
    ] as const) {
      const rests: number[] = []
      await readPage(numbers(250, tookMs).read, { cursor: null, limit: 250 }, async (ms) => rests.push(ms))
      assert.equal(rests.length, 2)
      for (const rest of rests) assert.ok(rest >= least && rest <= most, `${rest} ms after ${tookMs}`)
    }
  })
})
