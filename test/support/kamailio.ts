import { connect } from 'node:net'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, start, until, type Running } from './programs.ts'

/** A real Kamailio with a configuration of `test/interop/kamailio`, on one port of 127.0.0.1 for UDP and TCP. */
export async function startKamailio(
  config: string,
  options: { readonly port: number; readonly defines?: Readonly<Record<string, string>> },
): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'kamailio-'))
  const defines = Object.entries(options.defines ?? {}).flatMap(([name, value]) => ['-A', `${name}=${value}`])
  const kamailio = start('kamailio', [
    ...['-DD', '-E', '-m', '64', '-M', '8', '-Y', folder, '-w', folder, '-P', join(folder, 'pid')],
    ...['-f', join(root, 'test/interop/kamailio', config)],
    ...['-l', `udp:127.0.0.1:${options.port}`, '-l', `tcp:127.0.0.1:${options.port}`],
    ...defines,
  ])
  await until('kamailio to listen', () => takesConnections(options.port)).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${kamailio.output()}`)
  })
  return kamailio
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
    socket.once('connect', () => socket.destroy())
  })
}
