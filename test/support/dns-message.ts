import { createSocket, type Socket } from 'node:dgram'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import type { Address } from '../../src/base/address.ts'

/** DNS answers written by hand, and a name server that gives them. */

const TYPES: Readonly<Record<string, number>> = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33, NAPTR: 35 }

export interface Rr {
  readonly name: string
  readonly type: string
  readonly ttl: number
  readonly data: Buffer
}

export function name(text: string): Buffer {
  const labels = text.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label, 'latin1')])),
    Buffer.of(0),
  ])
}

function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length)
  values.forEach((value, i) => bytes.writeUInt16BE(value, 2 * i))
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  return Buffer.from([value.length, ...Buffer.from(value, 'latin1')])
}

export const a = (owner: string, ip: string, ttl = 60): Rr => ({
  name: owner,
  type: 'A',
  ttl,
  data: Buffer.from(ip.split('.').map(Number)),
})
export const cname = (owner: string, to: string, ttl = 60): Rr => ({
  name: owner,
  type: 'CNAME',
  ttl,
  data: name(to),
})
export const srv = (
  owner: string,
  priority: number,
  weight: number,
  port: number,
  to: string,
  ttl = 60,
): Rr => ({
  name: owner,
  type: 'SRV',
  ttl,
  data: Buffer.concat([u16(priority, weight, port), name(to)]),
})
export const naptr = (
  owner: string,
  order: number,
  preference: number,
  flags: string,
  service: string,
  to: string,
): Rr => ({
  name: owner,
  type: 'NAPTR',
  ttl: 60,
  data: Buffer.concat([u16(order, preference), text(flags), text(service), text(''), name(to)]),
})
export const soa = (owner: string, ttl: number, minimum: number): Rr => ({
  name: owner,
  type: 'SOA',
  ttl,
  data: Buffer.concat([name('ns'), name('root'), ...[1, 2, 3, 4, minimum].map(u32)]),
})

/** QR, RD and RA: a recursive resolver's. */
export const ANSWERED = 0x8180
export const TRUNCATED = 0x0200

/** An answer to the query, which it repeats. */
export function reply(
  query: Buffer,
  answers: readonly Rr[],
  more: {
    readonly flags?: number
    readonly rcode?: number
    readonly authority?: readonly Rr[]
    readonly id?: number
  } = {},
): Buffer {
  const end = query.indexOf(0, 12) + 5
  const authority = more.authority ?? []
  const record = ({ name: owner, type, ttl, data }: Rr): Buffer =>
    Buffer.concat([name(owner), u16(TYPES[type] ?? 0, 1), u32(ttl), u16(data.length), data])
  return Buffer.concat([
    u16(
      more.id ?? query.readUInt16BE(0),
      (more.flags ?? ANSWERED) | (more.rcode ?? 0),
      1,
      answers.length,
      authority.length,
      0,
    ),
    query.subarray(12, end),
    ...answers.map(record),
    ...authority.map(record),
  ])
}

export interface FakeServer {
  readonly address: Address
  /** Queries as they came. */
  readonly asked: { readonly query: Buffer; readonly over: 'udp' | 'tcp' }[]
}

/** A name server on loopback, over UDP and TCP at one port; `answer` gives the datagrams to send back. */
export async function fakeServer(
  t: TestContext,
  answer: (query: Buffer, over: 'udp' | 'tcp') => readonly Buffer[],
): Promise<FakeServer> {
  const asked: { query: Buffer; over: 'udp' | 'tcp' }[] = []
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      const query = bytes.subarray(2)
      asked.push({ query, over: 'tcp' })
      for (const back of answer(query, 'tcp')) socket.write(Buffer.concat([u16(back.length), back]))
    })
  })
  const port = await new Promise<number>((done) =>
    tcp.listen(0, '127.0.0.1', () => done((tcp.address() as { port: number }).port)),
  )
  const udp: Socket = createSocket('udp4')
  udp.on('message', (query, from) => {
    asked.push({ query, over: 'udp' })
    for (const back of answer(query, 'udp')) udp.send(back, from.port, from.address)
  })
  await new Promise<void>((done) => udp.bind(port, '127.0.0.1', done))
  t.after(() => {
    udp.close()
    tcp.close()
  })
  return { address: { host: '127.0.0.1', port }, asked }
}
