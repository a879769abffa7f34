import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Path } from '../../../src/base/address.ts'
import { watchForSignals } from '../../../src/core/security/watch.ts'
import type { Guard } from '../../../src/core/security/guard.ts'
import { createSpine } from '../../../src/spine/spine.ts'

const path = (protocol: Path['protocol']): Path => ({
  protocol,
  local: { host: '192.0.2.254', port: 5060 },
  remote: { host: '192.0.2.1', port: 4444 },
})

describe('what counts for and against a source', () => {
  it('is told to the guard as it happens', () => {
    const told: string[] = []
    const guard: Pick<Guard, 'signal' | 'cleared'> = {
      signal: (kind, host, protocol) => void told.push(`${kind} ${host} ${protocol}`),
      cleared: (host) => void told.push(`cleared ${host}`),
    }
    const spine = createSpine((_channel, error) => told.push(String(error)))
    const end = watchForSignals(spine, guard as Guard)
    const at = 0
    spine.authenticated.publish({ ok: false, reason: 'none', path: path('udp') })
    spine.authenticated.publish({ ok: false, reason: 'wrong', path: path('udp') })
    spine.authenticated.publish({ ok: true, reason: null, path: path('udp') })
    spine.handshakeFailed.publish({ protocol: 'tls', why: 'no shared cipher', source: '192.0.2.9' })
    // We went to it, and it is not its fault alone.
    spine.handshakeFailed.publish({ protocol: 'tls', why: 'expired', source: null })
    const html = Buffer.from('GET / HTTP/1.1\r\n\r\n')
    spine.messageFaulted.publish({ path: path('tcp'), bytes: html, what: 'no SIP', at })
    spine.messageFaulted.publish({ path: path('udp'), bytes: html, what: 'no SIP', at })
    // Too long to be read: it may have been SIP.
    spine.messageFaulted.publish({ path: path('ws'), bytes: null, what: 'too long', at })
    // Nothing of it could be framed.
    spine.messageFaulted.publish({ path: path('tls'), bytes: new Uint8Array(0), what: 'no SIP', at })
    end()
    spine.authenticated.publish({ ok: true, reason: null, path: path('udp') })
    assert.deepEqual(told, [
      'challenged 192.0.2.1 udp',
      'bad_credentials 192.0.2.1 udp',
      'cleared 192.0.2.1',
      'handshake 192.0.2.9 tls',
      'not_sip 192.0.2.1 tcp',
      'not_sip 192.0.2.1 tls',
    ])
  })
})
