import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { until } from './programs.ts'
import { assertRecord, type ExpectedRecord } from './record-check.ts'
import { SipPeer, type OutgoingInvite } from './sip-peer.ts'
import { startSiphon, type Siphon, type SiphonOptions } from './siphon.ts'

/** The real server, a caller and a callee, and a script that does what a call's X-Do header says. */

const SCRIPT = `import { cdr, proxy, registrar } from 'siphon'

proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  const [verb, ...words] = (request.getHeader('X-Do') ?? '').split(' ')
  const extra = request.getHeader('X-Extra')
  if (extra !== undefined) cdr.write(request, { extra: JSON.parse(extra) })
  if (verb === 'throw') throw new Error('as the test wants it')
  if (verb === 'bigint') cdr.write(request, { extra: { amount: 1n } })
  if (verb === 'slow') await new Promise((done) => setTimeout(done, Number(words[0])))
  if (verb === 'reply') return request.reply(Number(words[0]))
  if (verb !== 'plain') request.recordRoute()
  return request.relay(request.getHeader('X-To'))
})
`

export interface RecordsLab {
  readonly siphon: Siphon
  readonly caller: SipPeer
  readonly callee: SipPeer
  /** Calls bob at the callee, or wherever `to` says. */
  call(verb?: string, options?: { to?: string; headers?: readonly string[]; from?: SipPeer }): OutgoingInvite
  /** What the next INVITE is answered with; more than one: one after the other at once. */
  answers(...statuses: number[]): void
  /** The one record of a call, checked against what every record of this lab says and `expected`. */
  record(call: OutgoingInvite, expected: Stated, from?: SipPeer): Promise<Record<string, unknown>>
  /** `siphon_call_attempts_total` by result, without zeros. */
  attempts(): Promise<Record<string, number>>
  /** Waits until no gauge shows a call any more. (Transactions take 32 s more: calls.test.ts waits for them.) */
  quiet(): Promise<void>
  /** Calls so far that a record was asserted of. */
  readonly recorded: ReadonlySet<string>
  close(): Promise<void>
}

type Stated = Omit<
  ExpectedRecord,
  | 'call_id'
  | 'from_uri'
  | 'to_uri'
  | 'ruri'
  | 'source_port'
  | 'destination_ip'
  | 'destination_port'
  | 'transport'
  | 'node'
> &
  Partial<ExpectedRecord>

export const BOB = 'sip:bob@example.com'

export async function recordsLab(options: SiphonOptions = {}): Promise<RecordsLab> {
  const siphon = await startSiphon({
    script: SCRIPT,
    ...options,
    yaml: `${options.yaml ?? ''}${options.yaml?.includes('server:') ? '' : '\nserver: { instance_id: records-test }'}`,
  })
  const [caller, callee] = [await SipPeer.open(siphon.sip), await SipPeer.open(siphon.sip)]
  let plan: readonly number[] = [180, 200]
  callee.onRequest = (request) => {
    if (request.method === 'INVITE') for (const status of plan) callee.answer(request, status)
    else if (request.method === 'CANCEL') {
      callee.answer(request, 200)
      const invite = callee.received.find(
        (m) => m.kind === 'request' && m.method === 'INVITE' && m.callId === request.callId,
      )
      if (invite?.kind === 'request') callee.answer(invite, 487)
    } else if (request.method !== 'ACK') callee.answer(request, 200)
  }
  caller.onRequest = (request) => caller.answer(request, 200)
  const recorded = new Set<string>()
  return {
    siphon,
    caller,
    callee,
    call: (verb = 'relay', { to, headers = [], from = caller } = {}) =>
      from.invite(BOB, {
        headers: [`X-Do: ${verb}`, `X-To: ${to ?? `sip:127.0.0.1:${callee.port}`}`, ...headers],
      }),
    answers: (...statuses) => {
      plan = statuses
    },
    record: async (call, expected, from = caller) => {
      const mine = (): Record<string, unknown>[] =>
        siphon.records().filter((r) => r['call_id'] === call.callId)
      await until(`a record of ${call.callId}`, () => mine().length > 0)
      assert.equal(mine().length, 1)
      const [record = {}] = mine()
      recorded.add(call.callId)
      assertRecord(record, {
        node: 'records-test',
        call_id: call.callId,
        from_uri: 'sip:tester@example.com',
        to_uri: BOB,
        ruri: BOB,
        source_port: from.port,
        transport: from.transport,
        destination_ip: '127.0.0.1',
        destination_port: callee.port,
        ...expected,
      })
      return record
    },
    attempts: async () => {
      const all: Record<string, number> = {}
      for (const [key, value] of await siphon.metrics()) {
        const result = /^siphon_call_attempts_total\{result="(\w+)"\}$/.exec(key)?.[1]
        if (result !== undefined && value > 0) all[result] = value
      }
      return all
    },
    quiet: async () => {
      for (const name of ['calls_active', 'cdr_sessions', 'proxy_dialog_sessions', 'dialogs_active']) {
        await until(`siphon_${name} to be 0`, async () => (await siphon.metric(`siphon_${name}`)) === 0)
      }
    },
    recorded,
    close: async () => {
      caller.close()
      callee.close()
      await siphon.stop('SIGKILL')
    },
  }
}

/** A TCP port on which nobody listens. */
export function closedPort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer()
    server.once('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => done(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
