import { nativeUdp } from '../../src/base/native-udp.ts'
import { createSocket } from 'node:dgram'

/**
 * A flood of datagrams, in a process of its own: `node flood.ts SOURCE PORT PER-SECOND SECONDS [text]`.
 * From SOURCE (a loopback address, or `many`: 127.1.x.y, 250 of them) to 127.0.0.1:PORT. Prints how many it sent.
 */
const [source = '127.0.0.2', port = '5060', rate = '50000', seconds = '5', text = 'junk '.repeat(20)] =
  process.argv.slice(2)
const sources =
  source === 'many' ? Array.from({ length: 250 }, (_, i) => `127.1.${i >> 7}.${1 + (i & 127)}`) : [source]
const every = Number(rate)
const length = Buffer.byteLength(text)
const started = performance.now()
const end = started + Number(seconds) * 1000
let sent = 0

const senders: (() => void)[] = sources.map((host) => {
  if (nativeUdp !== null) {
    const fd = nativeUdp.open(host, 0)
    const to = nativeUdp.destination('127.0.0.1', Number(port))
    const memory = nativeUdp.memory(length)
    memory.bytes.write(text, 'latin1')
    const udp = nativeUdp
    if (fd !== null && to !== null) return () => void udp.sendTo(fd, memory, length, to)
  }
  const socket = createSocket('udp4')
  socket.bind(0, host)
  return () => socket.send(text, Number(port), '127.0.0.1')
})

const turn = (): void => {
  const now = performance.now()
  if (now >= end) {
    console.log(JSON.stringify({ sent, perSecond: Math.round(sent / (Number(seconds) || 1)) }))
    process.exit(0)
  }
  const due = Math.min(((now - started) / 1000) * every - sent, every / 20)
  for (let i = 0; i < due; i++) senders[sent++ % senders.length]?.()
  setTimeout(turn, 1)
}
turn()
