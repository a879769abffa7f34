import type { Protocol } from '../../base/address.ts'
import type { MetricsWriter } from '../../metrics/writer.ts'
import type { Spine } from '../../spine/spine.ts'
import { tapAuth } from './auth-tap.ts'
import { tapCalls, tapLegs } from './call-tap.ts'
import { tapGateways } from './gateway-tap.ts'
import { tapMedia } from './media-tap.ts'
import { tapMessages } from './message-tap.ts'
import { tapNextHops } from './next-hop-tap.ts'
import { tapRegistrations } from './registration-tap.ts'
import { tapScript } from './script-tap.ts'
import { tapSecurity } from './security-tap.ts'

export interface TapOptions {
  /** Transports with a listener: their series are there at 0 from the start. udp and tcp unless told. */
  readonly transports?: readonly Protocol[]
}

/** Counts what the call path says has happened. Declares every pushed metric of the server; docs/metrics.md tells what each means. */
export function attachMetricsTap(spine: Spine, writer: MetricsWriter, options: TapOptions = {}): void {
  const transports = options.transports ?? ['udp', 'tcp']
  tapMessages(spine, writer, transports)
  tapCalls(spine, writer)
  tapLegs(spine, writer)
  tapScript(spine, writer)
  tapGateways(spine, writer)
  tapAuth(spine, writer)
  tapMedia(spine, writer)
  tapSecurity(spine, writer, transports)
  tapRegistrations(spine, writer)
  tapNextHops(spine, writer)
}
