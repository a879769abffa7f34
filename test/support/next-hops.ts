import { isIP } from 'node:net'
import { defaultPort, type HopTarget, type NextHops } from '../../src/base/next-hop.ts'

/**
 * Next hops from a table of names: at once for an IP address, else when `later` calls what it is given.
 * @param targets where a name leads; empty: nowhere
 */
export function tableOfHops(
  targets: (name: string) => readonly string[],
  later: (answer: () => void) => void,
): NextHops {
  return {
    find: ({ host, port, protocol, secure }, then) => {
      const spoken = protocol ?? (secure ? 'tls' : 'udp')
      const target = (ip: string): HopTarget => ({
        protocol: spoken,
        host: ip,
        port: port ?? defaultPort(spoken),
      })
      if (isIP(host) !== 0) then({ ok: true, targets: [target(host)] })
      else {
        later(() => {
          const found = targets(host).map(target)
          then(found.length > 0 ? { ok: true, targets: found } : { ok: false, why: 'none' })
        })
      }
    },
  }
}
