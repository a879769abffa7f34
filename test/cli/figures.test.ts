import assert from 'node:assert/strict'
import { it } from 'node:test'
import { figures } from '../../src/cli/figures.ts'

it('the line of the demo shows what /metrics says', () => {
  const text = `# TYPE siphon_calls_active gauge
siphon_calls_active 3
siphon_call_attempts_total{result="answered"} 12
siphon_call_attempts_total{result="no_answer"} 2
siphon_call_attempts_total{result="busy"} 0
siphon_registrations_active 2
siphon_cdr_records_total{sink="file",outcome="delivered"} 9
siphon_cdr_records_total{sink="file",outcome="dropped"} 4
siphon_hep_packets_total{outcome="sent"} 81
`
  assert.equal(
    figures(text),
    'calls: 3 active; 12 answered, 2 no answer | registrations: 2 | records: 9 | HEP packets: 81',
  )
})

it('and nothing has been decided at the start', () => {
  assert.equal(
    figures(''),
    'calls: 0 active; none decided yet | registrations: 0 | records: 0 | HEP packets: 0',
  )
})
