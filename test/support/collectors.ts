import { createSocket } from 'node:dgram'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeHep } from '../../src/observe/hep/decode.ts'
import { start, until } from './programs.ts'

/** A HEP receiver over UDP that counts packets and the calls they belong to. */
export interface HepReceiver {
  readonly port: number
  packets(): number
  /** Distinct correlation ids whose packets match. */
  calls(match?: (payload: string) => boolean): Set<string>
  close(): void
}

export function receiveHep(): Promise<HepReceiver> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 16 << 20 })
  let packets = 0
  const raw: Buffer[] = []
  socket.on('message', (m) => {
    packets++
    // Decoded when somebody asks: the receiver must keep up.
    raw.push(m)
  })
  return new Promise((done, fail) => {
    socket.once('error', fail)
    socket.bind(0, '127.0.0.1', () =>
      done({
        port: socket.address().port,
        packets: () => packets,
        calls: (match = () => true) => {
          const ids = new Set<string>()
          for (const bytes of raw) {
            const decoded = decodeHep(bytes)
            if (!decoded.ok) throw new Error(`a HEP packet that does not decode: ${decoded.what}`)
            const { payload, correlation } = decoded.packet
            if (match(Buffer.from(payload).toString('latin1'))) ids.add(correlation ?? '')
          }
          return ids
        },
        close: () => socket.close(),
      }),
    )
  })
}

/** The kernel hands packets to dumpcap in blocks, one that is not full after 250 ms; those still with it at the end are lost. */
const HANDED_OVER_MS = 600

/** Captures what crosses a UDP port on the loopback interface, with tshark's dumpcap. */
export async function capture(port: number): Promise<{ stop(): Promise<number> }> {
  const file = join(mkdtempSync(join(tmpdir(), 'capture-')), 'sip.pcapng')
  const dumpcap = start('dumpcap', ['-i', 'lo', '-f', `udp port ${port}`, '-w', file, '-B', '512', '-q'])
  let counted: Promise<number> | null = null
  const count = async (): Promise<number> => {
    await sleep(HANDED_OVER_MS)
    await dumpcap.stop('SIGINT')
    const dropped = /: \d+\/(\d+) \(pcap/.exec(dumpcap.output())
    if (dropped === null || Number(dropped[1]) > 0)
      throw new Error(`the capture lost packets: ${dumpcap.output()}`)
    const info = spawnSync('capinfos', ['-M', '-c', file], { encoding: 'utf8' })
    return Number(/Number of packets:\s+(\d+)/.exec(info.stdout)?.[1] ?? Number.NaN)
  }
  await until('dumpcap to capture', () => /File: /.test(dumpcap.output()))
  return {
    stop: () => (counted ??= count()),
  }
}
