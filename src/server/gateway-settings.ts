import { formatAddress } from '../base/address.ts'
import type { GatewayGroupConfig } from '../config/config.ts'
import type { GroupSettings } from '../core/gateway/settings.ts'
import { hopUri } from '../sip/message/hop.ts'

/** A group of siphon.yaml as the engine wants it. Its texts are ASCII but for attributes, which become binary text. */
export function gatewaySettings(group: GatewayGroupConfig): GroupSettings {
  const { probe, circuit } = group
  return {
    name: group.name,
    algorithm: group.algorithm,
    probe: {
      enabled: probe.enabled,
      intervalMs: probe.interval_secs * 1000,
      timeoutMs: probe.timeout_secs * 1000,
      failureThreshold: probe.failure_threshold,
      successThreshold: probe.success_threshold,
      fromUser: probe.from_user,
    },
    circuit: {
      failures: circuit.failures,
      holdMs: circuit.hold_secs * 1000,
      maxHoldMs: circuit.max_hold_secs * 1000,
    },
    sourceNetworks: group.source_networks,
    rerouteCauses: group.reroute_causes,
    destinations: group.destinations.map((d) => {
      const address = d.address && formatAddress(d.address)
      return {
        name: d.name,
        uri: d.uri,
        hop: hopUri(d.uri, address, d.transport),
        address,
        weight: d.weight,
        priority: d.priority,
        attrs: Object.fromEntries(Object.entries(d.attrs).map(([k, v]) => [binary(k), binary(v)])),
      }
    }),
  }
}

function binary(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
