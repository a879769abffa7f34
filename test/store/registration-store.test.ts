import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { BindingRow } from '../../src/spine/bindings.ts'
import { RegistrationStore } from '../../src/store/registration-store.ts'

const NOW = Date.UTC(2026, 0, 1)

function row(id: number, more: Partial<BindingRow> = {}): BindingRow {
  return {
    id,
    aor: `sip:u${id}@example.com`,
    uri: `sip:u${id}@192.0.2.1`,
    q: 0.5,
    params: ';x="\xe9"',
    instance: null,
    regId: null,
    expiresAt: NOW + 1_000,
    updatedAt: NOW,
    callId: 'c',
    cseq: 1,
    protocol: 'udp',
    received: '192.0.2.1:5060',
    local: '192.0.2.9:5060',
    nated: true,
    path: '<sip:a;lr>\n<sip:b;lr>',
    userAgent: null,
    ...more,
  }
}

const file = (): string => join(mkdtempSync(join(tmpdir(), 'store-')), 'reg.db')

function opened(path: string, now = NOW) {
  const lines: string[] = []
  const store = new RegistrationStore({
    path,
    log: (level, text) => void lines.push(`${level} ${text}`),
    wallTime: () => now,
  })
  store.open()
  return { store, lines, rows: () => [...store.load()].flat() }
}

describe('the registration file', () => {
  it('gives back what was put last, without what has gone or expired', () => {
    const path = file()
    const first = opened(path)
    const secret = first.store.secret(() => Buffer.from('drawn'))
    first.store.accept([
      { what: 'put', row: row(1) },
      { what: 'put', row: row(2) },
      { what: 'put', row: row(3, { expiresAt: NOW + 10 }) },
      { what: 'put', row: row(1, { cseq: 2, regId: 7, instance: 'urn:uuid:1' }) },
      { what: 'gone', id: 2 },
    ])
    assert.equal(first.store.levels().pending, 3)
    first.store.close()
    const second = opened(path, NOW + 10)
    assert.deepEqual(second.rows(), [row(1, { cseq: 2, regId: 7, instance: 'urn:uuid:1' })])
    assert.deepEqual(Buffer.from(second.store.secret(() => Buffer.from('other')) ?? []), secret)
    second.store.close()
    assert.deepEqual(second.lines, [])
  })

  it('writes and reads thousands, a page at a time', () => {
    const path = file()
    const { store } = opened(path)
    store.accept(Array.from({ length: 9_001 }, (_, i) => ({ what: 'put', row: row(i + 1) }) as const))
    store.close()
    assert.equal(store.levels().written, 9_001)
    const pages = [...opened(path).store.load()]
    assert.deepEqual(
      pages.map(({ length }) => length),
      [2_000, 2_000, 2_000, 2_000, 1_001],
    )
  })

  it('moves a broken file aside and goes on', () => {
    const path = file()
    writeFileSync(path, 'no database at all, '.repeat(1_000))
    const { store, lines, rows } = opened(path)
    assert.deepEqual(rows(), [])
    store.accept([{ what: 'put', row: row(1) }])
    store.close()
    assert.match(lines.join('\n'), /^error .*is broken .*moved to .*\.corrupt-20260101T000000Z$/)
    assert.ok(readdirSync(join(path, '..')).some((name) => name.includes('.corrupt-')))
    assert.equal(store.levels().written, 1)
  })

  it('keeps what it cannot write, says so once, and belongs to one process', () => {
    const path = file()
    const owner = opened(path)
    const second = opened(path)
    second.store.accept([{ what: 'put', row: row(1) }])
    second.store.close()
    assert.deepEqual([second.store.levels().up, second.store.levels().pending], [false, 1])
    assert.equal(second.lines.filter((line) => line.includes('go on in memory')).length, 1)
    owner.store.close()
    const folder = join(path, '..')
    if (process.getuid?.() === 0) return
    chmodSync(folder, 0o500)
    assert.equal(opened(join(folder, 'other.db')).store.levels().up, false)
    chmodSync(folder, 0o700)
  })
})
