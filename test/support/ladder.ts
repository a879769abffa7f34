import assert from 'node:assert/strict'
import { parseMessage } from '../../src/sip/message/parse.ts'
import type { Sent } from './network.ts'

/**
 * What was sent, a line each: when, from whom, to whom, what, and what became of it.
 *
 *     0  alice  → siphon  INVITE
 *     0  siphon ⇢ bob     INVITE      lost
 *   200  siphon → alice   100 INVITE
 */
export function drawLadder(sent: readonly Sent[]): string {
  const rows = sent.map(({ at, from, to, bytes, copies }) => ({
    at: String(Math.round(at)),
    from,
    to,
    arrow: copies === 0 ? '⇢' : '→',
    what: nameOf(bytes),
    fate: copies === 0 ? 'lost' : copies > 1 ? 'twice' : '',
  }))
  const wide = (pick: (row: (typeof rows)[number]) => string): number =>
    Math.max(0, ...rows.map((row) => pick(row).length))
  const [at, from, to, what] = [
    wide((r) => r.at),
    wide((r) => r.from),
    wide((r) => r.to),
    wide((r) => r.what),
  ]
  return rows
    .map((row) =>
      `${row.at.padStart(at)}  ${row.from.padEnd(from)} ${row.arrow} ${row.to.padEnd(to)}  ${row.what.padEnd(what)}  ${row.fate}`.trimEnd(),
    )
    .join('\n')
}

/** Asserts that two ladders are the same but for the blanks between their columns. */
export function assertLadder(actual: string, expected: string): void {
  const [is, should] = [plain(actual), plain(expected)]
  if (is !== should) assert.equal(is, should, `the ladder was\n${actual}\n`)
}

function plain(ladder: string): string {
  return ladder
    .split('\n')
    .map((line) => line.trim().replace(/\s+/g, ' '))
    .filter((line) => line !== '')
    .join('\n')
}

function nameOf(bytes: Uint8Array): string {
  const result = parseMessage(Buffer.from(bytes).toString('latin1'))
  if (!result.ok) return `${bytes.length} bytes`
  const { message } = result
  return message.kind === 'request' ? message.method : `${message.status} ${message.cseq.method}`
}
