import { createSocket } from 'node:dgram'

export interface ManyOptions {
  readonly port: number
  readonly count: number
  readonly perSecond: number
  /** Seconds that a binding is asked for, when its REGISTER is made. */
  readonly expires: () => number
  /** Of the contacts; the sender's own unless told. The same again is a refresh, another one a second contact. */
  readonly contactPort?: number
  /** Told of each that was answered 200. */
  readonly onBound?: (index: number) => void
  /** Nothing more is sent when this holds: the server is gone. */
  readonly over?: () => boolean
}

/** Most that may be unanswered at once. */
const WINDOW = 400
const REPEAT_MS = 500

let runs = 0

/** Registers `sip:u0@127.0.0.1`, `sip:u1…` at a rate, repeats what is not answered; resolves with how many were bound. */
export async function registerMany(options: ManyOptions): Promise<number> {
  const { port, count, perSecond, expires, onBound, over = () => false } = options
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))
  socket.on('error', () => undefined)
  const own = `127.0.0.1:${socket.address().port}`
  const contact = `127.0.0.1:${options.contactPort ?? socket.address().port}`
  const run = `${process.pid}-${++runs}`
  const waiting = new Map<number, { text: Buffer; sentAt: number }>()
  let bound = 0
  socket.on('message', (bytes) => {
    const text = bytes.toString('latin1')
    const index = Number(/^Call-ID: many(\d+)-/m.exec(text)?.[1] ?? -1)
    if (!text.startsWith('SIP/2.0 200') || !waiting.delete(index)) return
    bound++
    onBound?.(index)
  })
  const send = (index: number, text: Buffer): void => {
    waiting.set(index, { text, sentAt: performance.now() })
    socket.send(text, port, '127.0.0.1')
  }
  const begun = performance.now()
  let next = 0
  while ((next < count || waiting.size > 0) && !over()) {
    const now = performance.now()
    for (; next < count && waiting.size < WINDOW && next < ((now - begun) / 1_000) * perSecond; next++) {
      send(next, requestFor(next, run, own, contact, expires()))
    }
    for (const [index, { text, sentAt }] of waiting) if (now - sentAt > REPEAT_MS) send(index, text)
    await new Promise((done) => setTimeout(done, 2))
  }
  socket.close()
  return bound
}

function requestFor(index: number, run: string, own: string, contact: string, expires: number): Buffer {
  const aor = `sip:u${index}@127.0.0.1`
  return Buffer.from(
    `REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP ${own};branch=z9hG4bKmany${run}-${index}\r\nMax-Forwards: 70\r\n` +
      `From: <${aor}>;tag=${index}\r\nTo: <${aor}>\r\nCall-ID: many${index}-${run}\r\nCSeq: 1 REGISTER\r\n` +
      `Contact: <sip:u${index}@${contact}>\r\nExpires: ${expires}\r\nContent-Length: 0\r\n\r\n`,
    'latin1',
  )
}
