import type { Protocol } from '../../base/address.ts'
import type { MetricsWriter } from '../../metrics/writer.ts'
import type { Spine } from '../../spine/spine.ts'
import { perCode, perMethod, perTransport } from './known-series.ts'

type Direction = 'in' | 'out'

const DIRECTIONS: readonly Direction[] = ['in', 'out']
/** TLS as a client needs no listener. */
const HANDSHAKING: readonly Protocol[] = ['tls', 'ws', 'wss']

/** Counts what crossed the sockets, and what did not make it. */
export function tapMessages(spine: Spine, writer: MetricsWriter, transports: readonly Protocol[]): void {
  const requests = writer.counter('siphon_requests_total', 'SIP requests that crossed a socket', {
    labels: ['method', 'direction', 'transport'],
  })
  const responses = writer.counter('siphon_responses_total', 'SIP responses that crossed a socket', {
    labels: ['code', 'direction', 'transport'],
  })
  const malformed = writer.counter(
    'siphon_malformed_messages_total',
    'Messages received that are not SIP messages we can process',
    { labels: ['transport'] },
  )
  for (const direction of DIRECTIONS) {
    const channel = direction === 'in' ? spine.messageReceived : spine.messageSent
    const byTransport = perTransport(transports, (transport) => ({
      requests: perMethod((method) => requests.labels({ method, direction, transport })),
      responses: perCode((code) => responses.labels({ code, direction, transport })),
    }))
    channel.subscribe(({ path, message }) => {
      const series = byTransport(path.protocol)
      if (message.kind === 'request') series.requests(message.method).inc()
      else series.responses(message.status).inc()
    })
  }
  const malformedOn = perTransport(transports, (transport) => malformed.labels({ transport }))
  spine.messageFaulted.subscribe(({ path }) => malformedOn(path.protocol).inc())

  const handshakes = writer.counter(
    'siphon_handshake_failures_total',
    'TLS and WebSocket handshakes that came to nothing, in either direction',
    { labels: ['transport'] },
  )
  const failedOn = perTransport(HANDSHAKING, (transport) => handshakes.labels({ transport }))
  spine.handshakeFailed.subscribe(({ protocol }) => failedOn(protocol).inc())
  const repeats = writer.counter(
    'siphon_retransmissions_total',
    'Messages that were repetitions: absorbed when received, or sent again by a timer',
    { labels: ['method', 'direction'] },
  )
  const repeatsIn = perMethod((method) => repeats.labels({ method, direction: 'in' }))
  const repeatsOut = perMethod((method) => repeats.labels({ method, direction: 'out' }))
  spine.retransmitted.subscribe(({ method, direction }) => {
    if (direction === 'in') repeatsIn(method).inc()
    else repeatsOut(method).inc()
  })
}
