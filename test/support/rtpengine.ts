import { createSocket } from 'node:dgram'
import { decodeBencode, encodeBencode, isDictionary, type Dictionary } from '../../src/base/bencode.ts'
import { start, until, type Running } from './programs.ts'
import { freePort } from './siphon.ts'

/** A real rtpengine in userspace on loopback. */
export interface Rtpengine {
  readonly process: Running
  readonly port: number
  /** `ip:port` of the NG listener. */
  readonly address: string
  /** An NG command and its answer. */
  ask(command: Dictionary): Promise<Dictionary>
  /** Call-IDs it has. */
  calls(): Promise<readonly string[]>
  stop(): Promise<void>
}

export interface RtpengineOptions {
  /** NG port; a free one unless told. */
  readonly port?: number
  readonly rtpPorts: readonly [first: number, last: number]
}

let asked = 0

export async function startRtpengine({ port: given, rtpPorts }: RtpengineOptions): Promise<Rtpengine> {
  const port = given ?? (await freePort())
  const [first, last] = rtpPorts
  const process = start('rtpengine', [
    ...['--foreground', '--table=-1', '--interface=127.0.0.1', `--listen-ng=127.0.0.1:${port}`],
    // The package's own file opens more ports, which two engines would fight for.
    '--config-file=none',
    ...[`--port-min=${first}`, `--port-max=${last}`, '--log-stderr', '--log-level=4', '--num-threads=2'],
  ])
  const socket = createSocket('udp4')
  const waiting = new Map<string, (answer: Dictionary) => void>()
  socket.on('message', (bytes) => {
    const text = bytes.toString('latin1')
    const space = text.indexOf(' ')
    const answer = decodeBencode(text.slice(space + 1))
    if (isDictionary(answer)) waiting.get(text.slice(0, space))?.(answer)
  })
  const ask = (command: Dictionary): Promise<Dictionary> =>
    new Promise((done, fail) => {
      const cookie = `test${++asked}`
      const timer = setTimeout(() => fail(new Error(`no answer to ${String(command['command'])}`)), 1_000)
      waiting.set(cookie, (answer) => {
        clearTimeout(timer)
        waiting.delete(cookie)
        done(answer)
      })
      socket.send(`${cookie} ${encodeBencode(command)}`, port, '127.0.0.1')
    })
  let closed = false
  const engine: Rtpengine = {
    process,
    port,
    address: `127.0.0.1:${port}`,
    ask,
    calls: async () => (await ask({ command: 'list', limit: 10_000 }))['calls'] as readonly string[],
    stop: async () => {
      if (!closed) socket.close()
      closed = true
      await process.stop('SIGKILL')
    },
  }
  await until('rtpengine to answer', async () => (await ask({ command: 'ping' }))['result'] === 'pong').catch(
    async (error: unknown) => {
      await engine.stop()
      throw new Error(`${String(error)}\n${process.output()}`)
    },
  )
  return engine
}
