import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Path, Protocol } from '../../../src/base/address.ts'
import { attachMetricsTap } from '../../../src/observe/metrics/tap.ts'
import type { CallRecord, MessageCrossed } from '../../../src/spine/facts.ts'
import type { Message } from '../../../src/sip/message/message.ts'
import { createSpine } from '../../../src/spine/spine.ts'
import { bench } from '../../metrics/support.ts'

const setup = () => {
  const { reader, writer } = bench()
  const spine = createSpine((channel, error) => assert.fail(`${channel}: ${String(error)}`))
  attachMetricsTap(spine, writer('engine', 'builtin'))
  return { reader, spine }
}

const path = (protocol: Protocol): Path => ({
  protocol,
  local: { host: '127.0.0.1', port: 5060 },
  remote: { host: '127.0.0.1', port: 5070 },
})
// The tap looks at these parts of a message only.
const crossed = (message: object, protocol: Protocol = 'udp'): MessageCrossed => ({
  path: path(protocol),
  bytes: new Uint8Array(),
  message: message as Message,
  at: 0,
})

describe('the metrics tap', () => {
  it('has every series at 0 before anything happens', () => {
    const { reader } = setup()
    const zero = (name: string, labels: Record<string, string>) =>
      assert.equal(reader.value(name, labels), 0, name)
    for (const direction of ['in', 'out']) {
      for (const transport of ['udp', 'tcp']) {
        for (const method of ['INVITE', 'UPDATE', 'OTHER'])
          zero('siphon_requests_total', { method, direction, transport })
        for (const code of ['100', '200', '503', '604'])
          zero('siphon_responses_total', { code, direction, transport })
      }
      zero('siphon_retransmissions_total', { method: 'BYE', direction })
    }
    zero('siphon_malformed_messages_total', { transport: 'tcp' })
    zero('siphon_call_attempts_total', { result: 'no_answer' })
    zero('siphon_script_errors_total', { handler: 'onReply', reason: 'bad_verdict' })
    zero('siphon_script_errors_total', { handler: 'outside', reason: 'exception' })
    zero('siphon_script_handler_seconds', { handler: 'timer' })
    zero('siphon_auth_failures_total', {})
    zero('siphon_credential_failures_total', { reason: 'replayed' })
    zero('siphon_auth_http_requests_total', { outcome: 'timeout' })
    zero('siphon_auth_ha1_cache_hits_total', {})
    zero('siphon_pyexec_jobs_shed_total', {})
    zero('siphon_pyexec_jobs_completed_total', {})
    zero('siphon_call_setup_seconds', {})
    zero('siphon_call_duration_seconds', {})
  })

  it('counts who could not prove who they are, and what the backend of users said', () => {
    const { reader, spine } = setup()
    const path = crossed({ kind: 'request', method: 'INVITE' }).path
    for (const reason of ['none', null, 'none', 'wrong', 'unknown_user'] as const) {
      spine.authenticated.publish({ ok: reason === null, reason, path })
    }
    for (const outcome of ['found', 'cached', 'cached', 'error'] as const) {
      spine.authBackendAsked.publish({ outcome })
    }
    assert.equal(reader.value('siphon_auth_failures_total', {}), 2)
    assert.equal(reader.value('siphon_credential_failures_total', { reason: 'wrong' }), 1)
    assert.equal(reader.value('siphon_credential_failures_total', { reason: 'unknown_user' }), 1)
    assert.equal(reader.value('siphon_auth_http_requests_total', { outcome: 'found' }), 1)
    assert.equal(reader.value('siphon_auth_http_requests_total', { outcome: 'error' }), 1)
    assert.equal(reader.value('siphon_auth_ha1_cache_hits_total', {}), 2)
  })

  it('counts messages by method or code, direction and transport', () => {
    const { reader, spine } = setup()
    spine.messageReceived.publish(crossed({ kind: 'request', method: 'INVITE' }))
    spine.messageReceived.publish(crossed({ kind: 'request', method: 'constructor' }))
    spine.messageReceived.publish(crossed({ kind: 'request', method: 'BREW' }, 'tcp'))
    spine.messageSent.publish(crossed({ kind: 'response', status: 486 }))
    spine.messageSent.publish(crossed({ kind: 'response', status: 699 }, 'ws'))
    const count = (what: 'requests' | 'responses', labels: Record<string, string>) =>
      reader.value(`siphon_${what}_total`, labels)
    assert.equal(count('requests', { method: 'INVITE', direction: 'in', transport: 'udp' }), 1)
    assert.equal(count('requests', { method: 'OTHER', direction: 'in', transport: 'udp' }), 1)
    assert.equal(count('requests', { method: 'OTHER', direction: 'in', transport: 'tcp' }), 1)
    assert.equal(count('requests', { method: 'BREW', direction: 'in', transport: 'tcp' }), undefined)
    assert.equal(count('responses', { code: '486', direction: 'out', transport: 'udp' }), 1)
    assert.equal(count('responses', { code: '699', direction: 'out', transport: 'ws' }), 1)
  })

  it('counts retransmissions and malformed messages', () => {
    const { reader, spine } = setup()
    spine.retransmitted.publish({ method: 'INVITE', direction: 'in' })
    spine.retransmitted.publish({ method: 'X', direction: 'out' })
    spine.messageFaulted.publish({ path: path('tcp'), bytes: new Uint8Array(), what: 'no', at: 0 })
    assert.equal(reader.value('siphon_retransmissions_total', { method: 'INVITE', direction: 'in' }), 1)
    assert.equal(reader.value('siphon_retransmissions_total', { method: 'OTHER', direction: 'out' }), 1)
    assert.equal(reader.value('siphon_malformed_messages_total', { transport: 'tcp' }), 1)
  })

  it('counts each attempt once, and times answered ones only', () => {
    const { reader, spine } = setup()
    spine.callDecided.publish({ callId: 'a', result: 'answered', code: 200, setupMs: 1500 })
    spine.callDecided.publish({ callId: 'b', result: 'busy', code: 486, setupMs: 900 })
    const record = { kind: 'proxy', answeredAt: 1, durationMs: 31_000 } as CallRecord
    spine.callEnded.publish(record)
    spine.callEnded.publish({ ...record, answeredAt: null })
    spine.callEnded.publish({ ...record, kind: 'register' })
    assert.equal(reader.value('siphon_call_attempts_total', { result: 'answered' }), 1)
    assert.equal(reader.value('siphon_call_attempts_total', { result: 'busy' }), 1)
    const numbers = (name: string): number[] => {
      const family = [...reader.families()].find((f) => f.shape.name === name)
      return Array.from({ length: family?.width ?? 0 }, (_, i) => family?.series[0]?.number(i) ?? NaN)
    }
    const times = numbers('siphon_call_setup_seconds')
    assert.deepEqual([times.at(-1), times.slice(0, -1).reduce((a, b) => a + b)], [1.5, 1])
    const lengths = numbers('siphon_call_duration_seconds')
    assert.deepEqual([lengths.at(-1), lengths.slice(0, -1).reduce((a, b) => a + b)], [31, 1])
  })

  it('counts questions to name servers and failovers, every series at 0 before', () => {
    const { reader, spine } = setup()
    for (const type of ['a', 'aaaa', 'srv', 'naptr']) {
      for (const outcome of ['found', 'none', 'error', 'timeout'])
        assert.equal(reader.value('siphon_dns_queries_total', { type, outcome }), 0)
    }
    for (const reason of ['timeout', 'transport', '503'])
      assert.equal(reader.value('siphon_next_hop_failovers_total', { reason }), 0)
    spine.dnsAsked.publish({ type: 'SRV', outcome: 'timeout', ms: 0.1 })
    spine.hopFailedOver.publish({ reason: '503' })
    assert.equal(reader.value('siphon_dns_queries_total', { type: 'srv', outcome: 'timeout' }), 1)
    assert.equal(reader.value('siphon_dns_query_seconds'), 1)
    assert.equal(reader.value('siphon_next_hop_failovers_total', { reason: '503' }), 1)
  })

  it("shows a script's handlers at 0 from when it serves", () => {
    const { reader, spine } = setup()
    const failures = { handler: 'timer(health)', reason: 'exception' }
    assert.equal(reader.value('siphon_script_errors_total', failures), undefined)
    spine.scriptServes.publish({ handlers: ['onRequest(INVITE)', 'timer(health)'] })
    assert.equal(reader.value('siphon_script_errors_total', failures), 0)
    assert.equal(reader.value('siphon_script_errors_total', { ...failures, handler: 'onRequest(INVITE)' }), 0)
  })

  it('counts script jobs', () => {
    const { reader, spine } = setup()
    spine.scriptJobDone.publish({ handler: 'onRequest', waitMs: 1, runMs: 0.05 })
    spine.scriptJobShed.publish({ method: 'INVITE', callId: 'a', path: path('udp') })
    spine.scriptFailed.publish({
      handler: 'onRequest',
      reason: 'timeout',
      where: null,
      what: 'x',
      callId: null,
    })
    assert.equal(reader.value('siphon_pyexec_jobs_completed_total'), 1)
    assert.equal(reader.value('siphon_pyexec_jobs_shed_total'), 1)
    assert.equal(reader.value('siphon_script_handler_seconds', { handler: 'onRequest' }), 1)
    assert.equal(reader.value('siphon_script_errors_total', { handler: 'onRequest', reason: 'timeout' }), 1)
  })
})
