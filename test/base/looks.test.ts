import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { Looks } from '../../src/base/looks.ts'

describe('the looks of a thread', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setInterval', 'setImmediate'] }))
  afterEach(() => mock.timers.reset())

  function lab() {
    const looks = new Looks()
    const seen: string[] = []
    looks.accompany({
      begin: () => void seen.push('begin'),
      fetch: () => void seen.push('fetch'),
      end: () => void seen.push('end'),
    })
    const looker = (name: string, found: readonly (boolean | 'leave')[]) => {
      let turn = 0
      const look = (): boolean => {
        seen.push(name)
        const what = found[turn++] ?? false
        if (what === 'leave') looks.leave(look)
        return what === true
      }
      return look
    }
    const after = (ms: number): string => {
      seen.length = 0
      mock.timers.tick(ms)
      return seen.join(' ')
    }
    return { looks, seen, looker, after }
  }

  it('come every four milliseconds while somebody looks, with those who go along before them', () => {
    const { looks, seen, looker, after } = lab()
    assert.equal(looks.going, false)
    const [one, other] = [looker('one', []), looker('other', [])]
    looks.join(one)
    looks.join(other)
    assert.deepEqual([seen.join(' '), looks.going], ['begin', true])
    assert.equal(after(3), '')
    assert.equal(after(1), 'fetch one other')
    assert.equal(after(8), 'fetch one other fetch one other')
    looks.leave(one)
    assert.equal(after(4), 'fetch other')
    seen.length = 0
    looks.leave(other)
    assert.deepEqual([seen.join(' '), looks.going], ['end', false])
    assert.equal(after(100), '')
    looks.leave(other)
    assert.equal(seen.join(' '), '')
  })

  it('follow at once when there may be more', () => {
    const { looks, looker, after } = lab()
    looks.join(looker('one', [true, true, false]))
    looks.join(looker('other', [false, true, false]))
    assert.equal(after(4), 'fetch one other fetch one other fetch one other')
    assert.equal(after(3), '')
    assert.equal(after(1), 'fetch one other')
  })

  it('that follow are never two: a flood does not make ever more of them', async () => {
    mock.timers.reset()
    const looks = new Looks()
    let count = 0
    const look = (): boolean => ++count > 0
    looks.join(look)
    let most = 0
    // Each turn of the loop one, and one more in those in which the interval is over.
    while (count < 20_000) {
      const before = count
      await nextTurn()
      most = Math.max(most, count - before)
    }
    looks.leave(look)
    assert.ok(most <= 2, `${most} looks in one turn`)
  })

  it('end in the middle of one, and begin anew', () => {
    const { looks, looker, after } = lab()
    looks.join(looker('one', [false, 'leave']))
    assert.equal(after(4), 'fetch one')
    assert.equal(after(4), 'fetch one end')
    assert.equal(after(100), '')
    looks.join(looker('two', ['leave']))
    assert.equal(after(4), 'fetch two end')
  })

  it('are told to who goes along later', () => {
    const { looks, looker } = lab()
    looks.join(looker('one', []))
    let begun = 0
    looks.accompany({ begin: () => void begun++, fetch: () => undefined, end: () => undefined })
    assert.equal(begun, 1)
  })
})

const nextTurn = (): Promise<void> => new Promise((done) => setImmediate(done))
