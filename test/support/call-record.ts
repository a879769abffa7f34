import type { CallRecord } from '../../src/spine/facts.ts'

const START = Date.UTC(2026, 0, 2, 3, 4, 5, 678)

/** An answered call of a minute, changed as the test wants it. */
export function callRecord(changes: Partial<CallRecord> = {}): CallRecord {
  return {
    id: 'r-1',
    kind: 'proxy',
    callId: 'abc@host',
    fromUri: 'sip:alice@example.com',
    toUri: 'sip:bob@example.com',
    ruri: 'sip:bob@example.com',
    method: 'INVITE',
    startedAt: START,
    answeredAt: START + 2000,
    endedAt: START + 62_234.4,
    setupMs: 2000.2,
    durationMs: 60_234.4,
    responseCode: 200,
    sourceIp: '10.0.0.5',
    sourcePort: 5062,
    destinationIp: '10.0.0.6',
    destinationPort: 5064,
    transport: 'udp',
    userAgent: 'phone/1.0',
    authUser: null,
    disconnectInitiator: 'caller',
    sipReason: null,
    legs: [],
    extra: null,
    requested: false,
    challenged: false,
    ...changes,
  }
}
