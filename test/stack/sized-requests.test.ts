import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Request } from '../../src/sip/message/message.ts'
import { SizedRequests } from '../../src/stack/sized-requests.ts'
import type { ClientTransaction, ClientUser } from '../../src/stack/transaction-user.ts'
import type { Target } from '../../src/stack/transport.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { request } from '../core/lab.ts'

const TARGET: Target = { protocol: 'udp', host: '192.0.2.9', port: 5060 }

function lab(options: { limit?: number | null; mayUseTcp?: boolean } = {}) {
  const clock = new FakeClock()
  const sent: { request: Request; target: Target; user: ClientUser; transaction: ClientTransaction }[] = []
  const cancelled: string[] = []
  const layer = {
    request: (sending: Request, target: Target, user: ClientUser): ClientTransaction => {
      const transaction: ClientTransaction = {
        request: sending,
        branch: 'b',
        state: 'calling',
        flow: null,
        cancel: () => void cancelled.push(target.protocol),
      }
      sent.push({ request: sending, target, user, transaction })
      return transaction
    },
  }
  const sized = new SizedRequests({
    clock,
    layer,
    transport: { sentBy: () => ({ host: '192.0.2.1', port: 5070 }) },
    limit: options.limit === undefined ? 1_300 : options.limit,
    mayUseTcp: options.mayUseTcp ?? true,
  })
  const heard: string[] = []
  const user: ClientUser = {
    onResponse: ({ status }) => void heard.push(String(status)),
    onEnd: (reason) => void heard.push(reason),
  }
  const end = (reason: 'normal' | 'timeout' | 'transport'): void => {
    const last = sent.at(-1)
    last?.user.onEnd(reason, last.transaction)
  }
  return {
    clock,
    sized,
    sent,
    heard,
    user,
    end,
    cancelled,
    by: () => sent.map(({ target }) => target.protocol),
  }
}

const large = (): Request =>
  request('INVITE', { headers: ['Max-Forwards: 70', `X-Large: ${'x'.repeat(1_200)}`] })

describe('RFC 3261 §18.1.1: requests near the path MTU', () => {
  it('go by TCP, with a Via that says so and the same branch; short ones stay', () => {
    const { sized, sent, user, by } = lab()
    sized.request(request('INVITE'), TARGET, user)
    sized.request(large(), TARGET, user)
    assert.deepEqual(by(), ['udp', 'tcp'])
    assert.equal(sent[1]?.request.headers.first('via'), 'SIP/2.0/TCP 192.0.2.1:5070;branch=z9hG4bK-INVITE-1')
  })

  it('go by UDP after all when there is no connection to be had, and that peer is not asked again for ten minutes', () => {
    const { clock, sized, sent, user, end, heard, by } = lab()
    const transaction = sized.request(large(), TARGET, user)
    end('transport')
    assert.deepEqual(by(), ['tcp', 'udp'])
    assert.match(sent[1]?.request.headers.first('via') ?? '', /^SIP\/2\.0\/UDP 10\.0\.0\.1:5060;/)
    assert.equal(transaction.request, sent[1]?.request)
    assert.deepEqual(heard, [])
    end('timeout')
    assert.deepEqual(heard, ['timeout'])
    sized.request(large(), TARGET, user)
    sized.request(large(), { ...TARGET, host: '192.0.2.8' }, user)
    clock.advance(600_000)
    sized.request(large(), TARGET, user)
    assert.deepEqual(by(), ['tcp', 'udp', 'udp', 'tcp', 'tcp'])
  })

  it('are not sent again when an answer has come, when time ran out, or when the caller has given up', () => {
    for (const before of ['answer', 'timeout', 'cancel'] as const) {
      const { sized, sent, user, end, by, cancelled } = lab()
      const transaction = sized.request(large(), TARGET, user)
      const [first] = sent
      if (before === 'answer' && first) first.user.onResponse({ status: 180 } as never, first.transaction)
      if (before === 'cancel') transaction.cancel()
      end(before === 'timeout' ? 'timeout' : 'transport')
      assert.deepEqual(by(), ['tcp'], before)
      assert.deepEqual(cancelled, before === 'cancel' ? ['tcp'] : [])
    }
  })

  it('stay on UDP where there is no TCP listener, no limit, or a flow to follow', () => {
    for (const options of [{ mayUseTcp: false }, { limit: null }]) {
      const { sized, user, by } = lab(options)
      sized.request(large(), TARGET, user)
      assert.deepEqual(by(), ['udp'])
    }
  })
})
