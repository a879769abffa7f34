import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { recordLine, timestamp } from '../../../src/observe/cdr/record.ts'
import { callRecord } from '../../support/call-record.ts'

function parse(line: string): Record<string, unknown> {
  const value: unknown = JSON.parse(line)
  assert.ok(typeof value === 'object' && value !== null)
  return value as Record<string, unknown>
}

describe('a call record', () => {
  it('has exactly the fields of the contract', () => {
    const line = recordLine(callRecord({ extra: '{"billing_id":"B-1","n":[1,null]}' }), 'node-1')
    assert.deepEqual(parse(line), {
      id: 'r-1',
      node: 'node-1',
      kind: 'proxy',
      call_id: 'abc@host',
      from_uri: 'sip:alice@example.com',
      to_uri: 'sip:bob@example.com',
      ruri: 'sip:bob@example.com',
      method: 'INVITE',
      timestamp_start: '2026-01-02T03:04:05.678Z',
      timestamp_answer: '2026-01-02T03:04:07.678Z',
      timestamp_end: '2026-01-02T03:05:07.912Z',
      duration_secs: 60.234,
      setup_secs: 2,
      response_code: 200,
      source_ip: '10.0.0.5',
      source_port: 5062,
      destination_ip: '10.0.0.6',
      destination_port: 5064,
      transport: 'udp',
      user_agent: 'phone/1.0',
      auth_user: null,
      disconnect_initiator: 'caller',
      sip_reason: null,
      legs: [],
      media: null,
      extra: { billing_id: 'B-1', n: [1, null] },
    })
  })

  it('has null where nothing happened, and 0 seconds for a call that was never answered', () => {
    const record = parse(recordLine(callRecord({ answeredAt: null, durationMs: 0, setupMs: null }), 'n'))
    assert.equal(record['timestamp_answer'], null)
    assert.equal(record['duration_secs'], 0)
    assert.equal(record['setup_secs'], null)
    assert.equal(timestamp(Number.NaN), null)
    assert.equal(timestamp(1e300), null)
  })

  it('decodes the bytes of SIP text as UTF-8, with U+FFFD for what is not', () => {
    const binary = Buffer.from('"Zoë ☎" <sip:z@x>').toString('latin1')
    const record = parse(recordLine(callRecord({ userAgent: binary, fromUri: 'a\xff\xfeb' }), 'n'))
    assert.equal(record['user_agent'], '"Zoë ☎" <sip:z@x>')
    assert.equal(record['from_uri'], 'a\ufffd\ufffdb')
  })

  it('is one line and valid UTF-8, whatever the fields hold', () => {
    const nasty = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        'a\nb',
        'a\r\n{"forged":1}',
        '\u2028',
        '\u2029',
        '\u0085',
        '\0',
        '\ud800',
        '"',
        '\\',
        '\x1b[2J',
        '\x7f',
        '__proto__',
      ),
      fc.uint8Array().map((b) => Buffer.from(b).toString('latin1')),
    )
    fc.assert(
      fc.property(nasty, nasty, nasty, fc.dictionary(nasty, nasty), (userAgent, callId, node, extra) => {
        const line = recordLine(
          callRecord({
            userAgent,
            callId,
            sipReason: callId,
            legs: [userAgent],
            extra: JSON.stringify(extra),
          }),
          node,
        )
        // oxlint-disable-next-line no-control-regex
        assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f\u2028\u2029]/)
        assert.equal(line.isWellFormed(), true)
        const record = parse(line)
        assert.equal(Object.keys(record).length, 26)
        assert.equal(JSON.stringify(record).isWellFormed(), true)
        assert.equal(
          Object.keys(record['extra'] as object).length,
          new Set(Object.keys(extra).map((k) => k.toWellFormed())).size,
        )
      }),
    )
  })

  it('replaces lone surrogates that the script had escaped', () => {
    const record = parse(recordLine(callRecord({ extra: '{"a\\ud800":["\\udfff"]}' }), 'n'))
    assert.deepEqual(record['extra'], { 'a\ufffd': ['\ufffd'] })
  })

  it('keeps an extra that is not JSON rather than losing it', () => {
    assert.deepEqual(parse(recordLine(callRecord({ extra: '{oops' }), 'n'))['extra'], {
      invalid_json: '{oops',
    })
  })

  it('keeps a field named __proto__ a field', () => {
    const line = recordLine(callRecord({ extra: '{"__proto__":{"polluted":1}}' }), 'n')
    assert.match(line, /"extra":\{"__proto__":\{"polluted":1\}\}/)
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
  })

  it('joins lines that a pretty-printed extra would have broken', () => {
    assert.equal(recordLine(callRecord({ extra: '{\n "a": 1\n}' }), 'n').includes('\n'), false)
  })
})
