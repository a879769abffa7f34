import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BatchReader, type Item, type Services } from '../../src/script/conversation.ts'
import { serve } from '../../src/script/serve.ts'

const lab = (services: Services) => {
  const told: unknown[] = []
  const asker = {
    result: (id: number, items: readonly Item[]): void => void told.push([id, ...items]),
    refused: (id: number, what: string): void => void told.push([id, what]),
  }
  let posts = 0
  const ask = (service: string, ...args: Item[]): void =>
    serve(services, { id: 7, service, args: new BatchReader(args) }, asker, () => posts++)
  return { told, ask, posts: () => posts }
}

describe('a service of the engine for scripts', () => {
  it('answers with items, now or later', () => {
    const later: (() => void)[] = []
    const { told, ask, posts } = lab(
      new Map([
        ['add', (args, answer) => answer([args.number() + args.number()])],
        ['late', (_args, answer) => void later.push(() => answer(['now']))],
      ]),
    )
    ask('add', 2, 3)
    ask('late')
    assert.deepEqual([told, posts()], [[[7, 5]], 1])
    later[0]?.()
    assert.deepEqual(told.at(-1), [7, 'now'])
  })

  it('refuses what it does not know, and what throws', () => {
    const { told, ask } = lab(
      new Map([
        [
          'bad',
          () => {
            throw new Error('no such group')
          },
        ],
      ]),
    )
    ask('bad')
    ask('unknown')
    assert.deepEqual(told, [
      [7, 'no such group'],
      [7, 'this server has no unknown'],
    ])
  })

  it('passes one answer on, whatever the service does', () => {
    const { told, ask, posts } = lab(
      new Map([
        [
          'twice',
          (_args, answer, refuse) => {
            answer([1])
            answer([2])
            refuse('no')
            throw new Error('late')
          },
        ],
      ]),
    )
    ask('twice')
    assert.deepEqual([told, posts()], [[[7, 1]], 1])
  })
})
