import { createSocket } from 'node:dgram'
import { decodeHep } from '../observe/hep/decode.ts'

/** A stand-in for Homer: counts the HEP packets that come, and the calls they belong to. */
export interface DemoCollector {
  readonly packets: number
  /** Distinct correlation ids. */
  readonly calls: number
  close(): void
}

/** More calls than that are not told apart: a demo may run for days. */
const MOST_CALLS = 100_000

/** Null when the port is taken: then somebody else collects there. */
export function startDemoCollector(host: string, port: number): Promise<DemoCollector | null> {
  const socket = createSocket('udp4')
  const calls = new Set<string>()
  let packets = 0
  socket.on('message', (bytes) => {
    const decoded = decodeHep(bytes)
    if (!decoded.ok) return
    packets++
    const { correlation } = decoded.packet
    if (correlation !== null && calls.size < MOST_CALLS) calls.add(correlation)
  })
  return new Promise((done) => {
    socket.once('error', () => done(null))
    socket.bind(port, host, () =>
      done({
        get packets() {
          return packets
        },
        get calls() {
          return calls.size
        },
        close: () => socket.close(),
      }),
    )
  })
}
