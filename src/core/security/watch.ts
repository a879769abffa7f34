import type { Spine } from '../../spine/spine.ts'
import type { Guard } from './guard.ts'

/** Listens to the call path for what counts for and against a source. @returns ends it */
export function watchForSignals(spine: Spine, guard: Guard): () => void {
  const ends = [
    spine.authenticated.subscribe(({ ok, reason, path }) => {
      const { host } = path.remote
      if (ok) guard.cleared(host)
      // A nonce that is too old is a phone's that was away: it is asked again, as one without credentials.
      else if (reason === 'none' || reason === 'stale') guard.signal('challenged', host, path.protocol)
      else guard.signal('bad_credentials', host, path.protocol)
    }),
    spine.inviteUnacknowledged.subscribe(({ path }) =>
      guard.signal('not_acknowledged', path.remote.host, path.protocol),
    ),
    spine.handshakeFailed.subscribe(({ protocol, source }) => {
      if (source !== null) guard.signal('handshake', source, protocol)
    }),
    spine.messageFaulted.subscribe(({ path, bytes }) => {
      // A datagram that is no SIP message says nothing of who sent it, and nothing is known of what was not read.
      if (path.protocol !== 'udp' && bytes !== null && !namesSip(bytes))
        guard.signal('not_sip', path.remote.host, path.protocol)
    }),
  ]
  return () => {
    for (const end of ends) end()
  }
}

/** Somebody who means SIP says so in the first line, whatever else is wrong. */
function namesSip(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 1_024)).toString('latin1')
  return /^[^\n]*sip/i.test(text)
}
