import type { MediaConfig, MediaSideConfig } from '../config/config.ts'
import type { InstanceOptions } from '../media/instance.ts'
import { BUILT_IN, type NgFlags, type Profiles } from '../media/profiles.ts'

/** What the engine thread needs of `media:`. */
export interface MediaStart {
  readonly instances: readonly InstanceOptions[]
  readonly healthIntervalMs: number
  readonly profiles: Profiles
}

export function mediaStart(config: MediaConfig): MediaStart {
  return {
    instances: config.instances.map(({ address, timeout_ms, weight }) => ({
      address,
      weight,
      timeoutMs: timeout_ms,
    })),
    healthIntervalMs: config.health_check_interval_secs * 1000,
    profiles: mediaProfiles(config),
  }
}

/** The built-in profiles and the operator's, which win by name. */
export function mediaProfiles({ profiles }: MediaConfig): Profiles {
  const own = Object.entries(profiles).map(
    ([name, { offer, answer }]) => [name, { offer: flagsOf(offer), answer: flagsOf(answer) }] as const,
  )
  return { ...BUILT_IN, ...Object.fromEntries(own) }
}

function flagsOf(side: MediaSideConfig): NgFlags {
  const words = {
    'transport-protocol': side.transport_protocol,
    ICE: side.ice,
    DTLS: side.dtls,
    'address-family': side.address_family,
    'record call': side.record_call ? 'yes' : null,
  }
  const lists = {
    SDES: side.sdes,
    replace: side.replace,
    flags: side.flags,
    direction: side.direction,
    'rtcp-mux': side.rtcp_mux,
  }
  return Object.fromEntries([
    ...Object.entries(words).flatMap(([key, word]) => (word === null ? [] : [[key, word] as const])),
    ...Object.entries(lists).filter(([, list]) => list.length > 0),
  ])
}
