/** What groups of gateways are made of. Plain data: from siphon.yaml or from a script. All texts are binary text. */

export type Algorithm = 'weighted' | 'round_robin' | 'hash'

export interface DestinationSettings {
  /** Unique in its group; what metrics and the admin API call it. */
  readonly name: string
  /** The URI that probes are addressed to, and where requests go unless `hop` says otherwise. */
  readonly uri: string
  /** The next hop: `uri` with the address and transport that were given for it. */
  readonly hop: string
  /** Its `address` as written; null when the URI says where it is. */
  readonly address: string | null
  /** Share within its tier, 1 or more. */
  readonly weight: number
  /** Lower tiers are used first. */
  readonly priority: number
  readonly attrs: Readonly<Record<string, string>>
}

export interface ProbeSettings {
  readonly enabled: boolean
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Failed probes in a row that mark a destination down. */
  readonly failureThreshold: number
  /** Good ones in a row that mark it up again. */
  readonly successThreshold: number
  /** User part of the From of an OPTIONS. */
  readonly fromUser: string
}

export interface CircuitSettings {
  /** Failed calls in a row that open the circuit; 0: it never opens. */
  readonly failures: number
  /** How long it stays open the first time. Each failed trial doubles that. */
  readonly holdMs: number
  readonly maxHoldMs: number
}

/** A final status that a gateway answered, or that no way led to it. */
export type RerouteCause = number | 'transport'

export interface GroupSettings {
  readonly name: string
  readonly algorithm: Algorithm
  readonly probe: ProbeSettings
  readonly circuit: CircuitSettings
  /** Networks whose requests come from this group, besides the addresses of its destinations. */
  readonly sourceNetworks: readonly string[]
  readonly rerouteCauses: readonly RerouteCause[]
  readonly destinations: readonly DestinationSettings[]
}

export const DEFAULT_PROBE: ProbeSettings = {
  enabled: true,
  intervalMs: 30_000,
  timeoutMs: 5_000,
  failureThreshold: 3,
  successThreshold: 1,
  fromUser: 'siphon',
}

export const DEFAULT_CIRCUIT: CircuitSettings = { failures: 5, holdMs: 10_000, maxHoldMs: 300_000 }

export const DEFAULT_REROUTE_CAUSES: readonly RerouteCause[] = [408, 500, 502, 503, 504, 'transport']

/** What a destination is called where one text has to do: in verdicts, and as a key of tables. */
export function memberKey(group: string, destination: string): string {
  return `${group}/${destination}`
}
