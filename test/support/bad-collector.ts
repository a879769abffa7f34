import { root, start, until } from './programs.ts'
import { freePort } from './siphon.ts'

/** A collector of records or HEP that misbehaves on demand (test/interop/tools/badcollector.py). */
export interface BadCollector {
  readonly port: number
  /** ok, slow:SECONDS, hang, noread, rst, refuse, status:503 … */
  mode(mode: string): Promise<void>
  stats(): Promise<CollectorStats>
  stop(): Promise<void>
}

export interface CollectorStats {
  /** What was taken, repetitions included. */
  readonly reqs: number
  readonly answered: number
  /** Distinct Call-IDs in it. */
  readonly distinct: number
  readonly duplicates: number
  readonly framing_errors?: number
}

export async function badCollector(protocol: 'http' | 'tcp', mode = 'ok'): Promise<BadCollector> {
  const [port, control] = [await freePort(), await freePort()]
  const running = start('python3', [
    `${root}/test/interop/tools/badcollector.py`,
    ...`${protocol} ${port} --ctl ${control} --mode ${mode}`.split(' '),
  ])
  const ask = async (path: string): Promise<CollectorStats> =>
    (await (await fetch(`http://127.0.0.1:${control}${path}`)).json()) as CollectorStats
  await until('the collector to start', () => ask('/stats')).catch(async (error: unknown) => {
    await running.stop('SIGKILL')
    throw new Error(`${String(error)}\n${running.output()}`)
  })
  return {
    port,
    mode: async (m) => void (await ask(`/mode?m=${m}`)),
    stats: () => ask('/stats'),
    stop: async () => void (await running.stop('SIGKILL')),
  }
}
