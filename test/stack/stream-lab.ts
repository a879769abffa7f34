import type { Path } from '../../src/base/address.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { StreamFlow } from '../../src/stack/flows.ts'
import { StreamTable, type Stream } from '../../src/stack/streams.ts'
import { FakeClock } from '../support/fake-clock.ts'

export interface Opened {
  readonly stream: Stream
  /** Why it was cut, or 'ended'; with the time in seconds. */
  readonly log: string[]
  /** When its heads were found stalled, in seconds. */
  readonly stalls: number[]
  /** Bytes come in. */
  hear(text: string): void
}

/** The table of stream connections, with time and bytes in the hands of the test. */
export function streamLab(clock = new FakeClock()): {
  clock: FakeClock
  table: StreamTable
  open(host?: string, port?: number): Opened
} {
  const table = new StreamTable(clock)
  const spine = createSpine(() => undefined)
  const open = (host = '192.0.2.1', port = 40_000): Opened => {
    const path: Path = { protocol: 'tcp', local: { host: '192.0.2.9', port: 5060 }, remote: { host, port } }
    const flow = new StreamFlow(path, { clock, spine }, { closed: false, send: () => true })
    const log: string[] = []
    const stalls: number[] = []
    const stream: Stream = table.add(flow, path, {
      cut: (why) => {
        log.push(`${clock.now() / 1000} ${why}`)
        table.remove(stream)
      },
      end: () => void log.push(`${clock.now() / 1000} ended`),
      stalled: () => {
        stalls.push(clock.now() / 1000)
        for (const framed of stream.framer.stalled()) {
          const read = parseMessage(framed.what === 'message' ? framed.text : '')
          if (!read.ok || read.message.kind !== 'request') continue
          stream.spoken = true
          table.deafen(stream)
          stream.flow.owe(read.message)
        }
      },
    })
    const hear = (text: string): void => {
      const framed = stream.framer.push(Buffer.from(text, 'latin1'))
      const completed = framed.some((f) => f.what === 'message')
      stream.spoken ||= completed
      table.heard(stream, completed)
    }
    return { stream, log, stalls, hear }
  }
  return { clock, table, open }
}

export const PEER = { protocol: 'tcp', host: '192.0.2.1', port: 40_000 } as const
export const message = 'OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n'
