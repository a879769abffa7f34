import { readFileSync } from 'node:fs'
import type { Address } from '../../base/address.ts'
import type { MetricsReader } from '../../metrics/reader.ts'

/**
 * Datagrams the kernel had no room for: they are in nobody's counters but its own. Absent where there is no /proc/net.
 * @param listeners our UDP sockets; null until they are open
 */
export function declareUdpDrops(reader: MetricsReader, listeners: () => readonly Address[] | null): void {
  reader.counterFrom(
    'siphon_udp_kernel_drops_total',
    'Datagrams that came while the receive buffers of our UDP sockets were full',
    [],
    () => {
      const own = listeners()
      return own === null ? 0 : kernelDrops(own, table)
    },
  )
}

/** @param read the text of `/proc/net/udp` or `udp6`; null when it cannot be had */
export function kernelDrops(
  own: readonly Address[],
  read: (name: 'udp' | 'udp6') => string | null,
): number | null {
  let drops: number | null = null
  for (const name of ['udp', 'udp6'] as const) {
    const places = new Set(own.filter((a) => a.host.includes(':') === (name === 'udp6')).map(place))
    const text = places.size === 0 ? null : read(name)
    if (text === null) continue
    drops ??= 0
    for (const line of text.split('\n').slice(1)) {
      const columns = line.trim().split(/\s+/)
      // A peer that is connected to us has our port in the third column, not in the second.
      const [host = '', port = ''] = (columns[1] ?? '').split(':')
      if (places.has(host.length > 8 ? port : `${host}:${port}`)) drops += Number(columns[12] ?? 0)
    }
  }
  return drops
}

/** An address as the kernel's table has it: hexadecimal, the bytes of IPv4 from the last to the first. IPv6: the port alone. */
function place({ host, port }: Address): string {
  const hex = (value: number, digits: number): string =>
    value.toString(16).toUpperCase().padStart(digits, '0')
  if (host.includes(':')) return hex(port, 4)
  const bytes = host.split('.').map(Number).toReversed()
  return `${bytes.map((byte) => hex(byte, 2)).join('')}:${hex(port, 4)}`
}

function table(name: string): string | null {
  try {
    return readFileSync(`/proc/net/${name}`, 'latin1')
  } catch {
    return null
  }
}
