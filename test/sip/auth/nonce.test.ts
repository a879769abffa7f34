import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keyedHash } from '../../../src/base/digest-hash.ts'
import { NonceCounts } from '../../../src/sip/auth/nonce-counts.ts'
import { NonceMint } from '../../../src/sip/auth/nonce.ts'

const HOUR = 3_600_000
const T = 1_800_000_000_000

describe('nonces', () => {
  const mint = new NonceMint(keyedHash('key'), HOUR)
  const nonce = mint.make('example.com', T + 0.7, '0123456789abcdef')

  it('are known again until they are too old', () => {
    const read = mint.read(nonce, 'example.com', T + HOUR - 1)
    assert.deepEqual(read, { id: nonce.slice(0, 28), issuedAt: T })
    assert.equal(mint.read(nonce, 'example.com', T + HOUR), 'stale')
    assert.equal(mint.read(nonce, 'example.com', T - 61_000), 'stale', 'from the future')
    assert.notEqual(mint.read(nonce, 'example.com', T - 59_000), 'stale', 'of a node whose clock is ahead')
  })
  it('are good for their realm and under their key alone', () => {
    assert.equal(mint.read(nonce, 'example.org', T), 'forged')
    assert.equal(new NonceMint(keyedHash('other'), HOUR).read(nonce, 'example.com', T), 'forged')
  })
  it('with one character changed, cut or grown are forged', () => {
    for (let i = 0; i < nonce.length; i++) {
      const other = nonce[i] === '0' ? '1' : '0'
      assert.equal(
        mint.read(nonce.slice(0, i) + other + nonce.slice(i + 1), 'example.com', T),
        'forged',
        String(i),
      )
    }
    for (const bad of ['', '0', nonce.slice(1), `${nonce}0`, '0'.repeat(60)]) {
      assert.equal(mint.read(bad, 'example.com', T), 'forged')
    }
  })
})

describe('counts of nonces', () => {
  it('each is good once, in any order within the window', () => {
    const counts = new NonceCounts(10, 0)
    const use = (nc: number) => counts.use('a', nc, 1, 1000, 1)
    assert.deepEqual([3, 3, 1, 2, 1, 4, 40, 9, 8, 40].map(use), [
      'fresh',
      'replayed',
      'fresh',
      'fresh',
      'replayed',
      'fresh',
      'fresh',
      'fresh',
      'replayed',
      'replayed',
    ])
    assert.deepEqual([0xffffffff, 0xffffffff, 0xfffffffe, 41].map(use), [
      'fresh',
      'replayed',
      'fresh',
      'replayed',
    ])
  })

  it('agree with a set, as long as the window reaches', () => {
    const counts = new NonceCounts(10, 0)
    const used = new Set<number>()
    let highest = 0
    let seed = 7
    for (let i = 0; i < 20_000; i++) {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      const nc = Math.max(1, highest - 30 + (seed % 35))
      const expected = used.has(nc) ? 'replayed' : 'fresh'
      assert.equal(counts.use('a', nc, 1, 1000, 1), expected, `${nc} after ${highest}`)
      used.add(nc)
      highest = Math.max(highest, nc)
    }
  })

  it('never let a forgotten nonce be replayed', () => {
    const counts = new NonceCounts(3, 100)
    assert.equal(counts.use('old', 1, 100, 1100, 101), 'stale', 'of an earlier run')
    for (const [i, id] of ['a', 'b', 'c', 'd'].entries())
      assert.equal(counts.use(id, 1, 201 + i, 1201 + i, 300), 'fresh')
    assert.equal(counts.size, 3)
    assert.equal(counts.use('a', 2, 201, 1201, 300), 'stale', 'it had to go')
    assert.equal(counts.use('a', 1, 201, 1201, 300), 'stale')
    assert.equal(counts.use('b', 2, 202, 1202, 300), 'fresh', 'it is still there')
    assert.equal(counts.use('b', 1, 202, 1202, 300), 'replayed')
  })

  it('forget what has expired', () => {
    const counts = new NonceCounts(1_000, 0)
    for (let i = 0; i < 500; i++) counts.use(`n${i}`, 1, 1 + i, 1001 + i, 1 + i)
    assert.equal(counts.size, 500)
    for (let i = 0; i < 600; i++) counts.use(`m${i}`, 1, 10_000 + i, 11_000 + i, 10_000 + i)
    assert.equal(counts.size, 600)
    assert.equal(counts.use('n1', 2, 2, 1002, 5), 'stale', 'however the clock was set')
  })
})
