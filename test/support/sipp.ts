import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { root, start, type Running } from './programs.ts'

/** sipp as caller and callee. */

export interface CallerOptions {
  /** `ip:port` to call. */
  readonly target: string
  readonly localPort: number
  readonly rate: number
  readonly calls: number
  readonly service?: string
  readonly scenario?: string
  /** Milliseconds between ACK and BYE. */
  readonly holdMs?: number
  readonly extra?: readonly string[]
  /** Ends the caller when it settles, whatever its calls do. */
  readonly until?: Promise<unknown>
}

export interface CallerResult {
  readonly successful: number
  readonly failed: number
  readonly retransmissions: number
  /** INVITE to 200, ms, ascending. */
  readonly responseTimes: readonly number[]
  readonly output: string
}

const scenarios = join(root, 'test/interop/sipp')

/** Starts a callee; the caller stops it. */
export function startCallee(
  port: number,
  options: { scenario?: string; extra?: readonly string[] } = {},
): Running {
  return start(
    'sipp',
    [
      ...['-sf', resolve(scenarios, options.scenario ?? 'uas.xml'), '-i', '127.0.0.1', '-p', String(port)],
      ...['-nostdin', '-default_behaviors', '-abortunexp', '-buff_size', '4194304'],
      ...(options.extra ?? []),
    ],
    { cwd: mkdtempSync(join(tmpdir(), 'sipp-')) },
  )
}

/** How much later than planned a caller may end: calls that have lost a message wait for the timers of both sides. */
const PATIENCE_MS = 120_000

/** Runs a caller to its end. Rejects when it does not come to one: a call that hears nothing more would wait for ever. */
export async function runCaller(options: CallerOptions): Promise<CallerResult> {
  const cwd = mkdtempSync(join(tmpdir(), 'sipp-'))
  const caller = start(
    'sipp',
    [
      options.target,
      ...['-sf', resolve(scenarios, options.scenario ?? 'uac.xml'), '-s', options.service ?? 'service'],
      ...['-i', '127.0.0.1', '-p', String(options.localPort)],
      ...['-r', String(options.rate), '-m', String(options.calls), '-d', String(options.holdMs ?? 100)],
      ...['-l', String(Math.max(1_000, Math.ceil(options.rate * ((options.holdMs ?? 100) / 1000 + 5))))],
      ...['-nostdin', '-default_behaviors', '-abortunexp', '-buff_size', '4194304'],
      ...['-trace_stat', '-fd', '1', '-stf', 'stat.csv', '-trace_rtt'],
      // sipp writes times in lots of so many, and no lot that is not full.
      ...['-rtt_freq', String(Math.min(500, options.calls))],
      ...(options.extra ?? []),
    ],
    { cwd },
  )
  const kill = (): void => void caller.stop('SIGKILL')
  options.until?.then(kill, kill)
  const planned = (options.calls / options.rate) * 1000 + (options.holdMs ?? 100)
  let late = false
  const limit = setTimeout(() => {
    late = true
    kill()
  }, planned + PATIENCE_MS)
  await caller.exited
  clearTimeout(limit)
  if (late) throw new Error(`sipp does not end: ${caller.output().slice(-4_000)}`)
  const lines = readFileSync(join(cwd, 'stat.csv'), 'latin1').trim().split('\n')
  const names = (lines[0] ?? '').split(';')
  const last = (lines.at(-1) ?? '').split(';')
  const cumulative = (name: string): number => Number(last[names.indexOf(`${name}(C)`)] ?? Number.NaN)
  const rtt = readdirSync(cwd).find((f) => f.endsWith('_rtt.csv'))
  const responseTimes = rtt
    ? readFileSync(join(cwd, rtt), 'latin1')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => Number(line.split(';')[1]))
        .sort((a, b) => a - b)
    : []
  return {
    successful: cumulative('SuccessfulCall'),
    failed: cumulative('FailedCall'),
    retransmissions: cumulative('Retransmissions'),
    responseTimes,
    output: caller.output(),
  }
}

/** The value below which `share` (0 … 1) of the ascending values lie. */
export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN
}

export const median = (values: readonly number[]): number =>
  percentile(
    [...values].sort((a, b) => a - b),
    0.5,
  )
