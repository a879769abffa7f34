import type { Protocol } from '../base/address.ts'
import type { BindingRow } from '../spine/bindings.ts'
import { readAddress } from './flow-tokens.ts'
import type { StoredBinding } from './location-store.ts'

/** Bindings as they are kept over a restart, and back. */

/** @param wallOffset wall clock less monotonic clock, ms */
export function rowOf(binding: StoredBinding, wallOffset: number): BindingRow {
  const { id, uri, q, params, instance, regId, callId, cseq, source } = binding
  const { aor, protocol, received, local, nated, path, userAgent } = source
  return {
    id,
    aor,
    uri,
    q,
    params,
    instance,
    regId,
    expiresAt: Math.round(binding.expiresAt + wallOffset),
    updatedAt: Math.round(binding.updatedAt + wallOffset),
    callId,
    cseq,
    protocol,
    received,
    local: `${local.host.includes(':') ? `[${local.host}]` : local.host}:${local.port}`,
    nated,
    path: path.join('\n'),
    userAgent,
  }
}

const NOWHERE = { host: '0.0.0.0', port: 0 }

/** A connection does not outlive the server: a restored binding has none, and is reached by its Path or its URI. */
export function bindingFrom(row: BindingRow, wallOffset: number): StoredBinding {
  const { id, aor, uri, q, params, instance, regId, callId, cseq, received, nated, path, userAgent } = row
  return {
    id,
    uri,
    q,
    params,
    instance,
    regId,
    expiresAt: row.expiresAt - wallOffset,
    updatedAt: row.updatedAt - wallOffset,
    callId,
    cseq,
    source: {
      aor,
      protocol: row.protocol as Protocol,
      received,
      flow: null,
      flowId: 0,
      local: readAddress(row.local) ?? NOWHERE,
      nated,
      path: path === '' ? [] : path.split('\n'),
      userAgent,
    },
  }
}
