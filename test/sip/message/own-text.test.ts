import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { standalone } from '../../../src/sip/message/own-text.ts'

describe('a piece of a message that is kept', () => {
  it('is the same text, and does not keep the message', () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const pieces: string[] = []
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 1_000; i++) {
      const message = Buffer.alloc(20_000, `tag-of-dialog-${i} `).toString('latin1')
      const piece = message.slice(0, `tag-of-dialog-${i}`.length)
      pieces.push(standalone(piece))
    }
    collect()
    const kept = process.memoryUsage().heapUsed - before
    // With the messages it would be 20 MB.
    assert.ok(kept < 4_000_000, `${kept} bytes`)
    assert.equal(pieces[7], 'tag-of-dialog-7')
    assert.equal(standalone('short'), 'short')
    assert.equal(standalone(''), '')
  })
})
