import { isIP } from 'node:net'
import type { Protocol } from '../base/address.ts'
import type { Hop } from '../base/next-hop.ts'
import type { Via } from '../sip/message/via.ts'

const PROTOCOLS: Readonly<Record<string, Protocol>> = { TCP: 'tcp', TLS: 'tls', WS: 'ws', WSS: 'wss' }

/**
 * Where a response goes when its connection is gone and the request's source cannot be connected to (RFC 3263 §5): the
 * sent-by of its top Via, over the same transport. Null for a sent-by that is an address: it is the source's, which has
 * just failed, or another's, at whom nobody shall aim our responses.
 */
export function sentByHop(via: Via): Hop | null {
  const protocol = PROTOCOLS[via.protocol.toUpperCase()]
  if (protocol === undefined || isIP(via.host) !== 0) return null
  return { host: via.host, port: via.port, protocol, secure: protocol === 'tls' || protocol === 'wss' }
}
