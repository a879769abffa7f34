import assert from 'node:assert/strict'

/** The fields of a record that a test states; the others are checked by rule. */
export interface ExpectedRecord {
  readonly kind?: string
  readonly call_id: string
  readonly from_uri: string
  readonly to_uri: string
  readonly ruri: string
  readonly method?: string
  readonly response_code: number
  readonly source_port: number
  readonly destination_ip: string | null
  readonly destination_port: number | null
  readonly transport: string
  readonly disconnect_initiator: string | null
  readonly sip_reason?: string | null
  readonly extra?: unknown
  /** Both timestamps and the duration of an answered call follow from it. */
  readonly answered: boolean
  /** False: nobody told us when it ended. */
  readonly ended?: boolean
  /** No final response ever went to the caller. */
  readonly unanswered?: boolean
  readonly node: string
  readonly user_agent?: string | null
}

/** Contract §5, every field. */
const FIELDS =
  'id node kind call_id from_uri to_uri ruri method timestamp_start timestamp_answer timestamp_end duration_secs ' +
  'setup_secs response_code source_ip source_port destination_ip destination_port transport user_agent auth_user ' +
  'disconnect_initiator sip_reason legs media extra'
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** Asserts that a record has every field of the contract and says what is expected. */
export function assertRecord(record: Record<string, unknown>, expected: ExpectedRecord): void {
  const text = JSON.stringify(record)
  assert.deepEqual(Object.keys(record).sort(), FIELDS.split(' ').sort(), text)
  const { answered, ended = true, unanswered = false, ...said } = expected
  const stated = {
    kind: 'proxy',
    method: 'INVITE',
    source_ip: '127.0.0.1',
    sip_reason: null,
    user_agent: 'test peer/1',
    auth_user: null,
    extra: null,
    legs: [],
    media: null,
    ...said,
  }
  const is = Object.fromEntries(Object.keys(stated).map((key) => [key, record[key]]))
  assert.deepEqual(is, stated)
  assert.match(String(record['id']), /^[\x21-\x7e]{8,}$/)

  const instant = (name: string): number | null => {
    const value = record[name]
    if (value === null) return null
    assert.match(String(value), INSTANT, name)
    return Date.parse(String(value))
  }
  const [start, answer, end] = [
    instant('timestamp_start'),
    instant('timestamp_answer'),
    instant('timestamp_end'),
  ]
  assert.ok(start !== null && Math.abs(Date.now() - start) < 120_000, text)
  const [setup, duration] = [record['setup_secs'], record['duration_secs'] as number]
  assert.equal(answer !== null, answered, `timestamp_answer of ${text}`)
  assert.equal(end !== null, ended, `timestamp_end of ${text}`)
  if (unanswered) assert.equal(setup, null)
  else {
    assert.ok(typeof setup === 'number' && setup >= 0, `setup_secs of ${text}`)
    // Two clocks, both rounded: within some milliseconds of each other.
    const decided = answered ? answer : end
    if (decided !== null && start !== null) assert.ok(Math.abs(decided - start - setup * 1000) < 50, text)
  }
  if (answer !== null && end !== null) assert.ok(Math.abs(end - answer - duration * 1000) < 50, text)
  else assert.equal(duration, 0, text)
}
