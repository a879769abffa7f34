import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { tellAtLimit } from './time-limit.ts'

/** Real programs, run for interop tests and benchmarks. */

export const root = resolve(import.meta.dirname, '../..')

export function installed(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

/** Why a test that needs these programs is skipped; false when all are there. In CI nothing may be skipped. */
export function missing(...programs: string[]): string | false {
  const absent = programs.filter((p) => !installed(p))
  if (absent.length === 0) return false
  if (process.env['CI']) throw new Error(`not installed: ${absent.join(', ')}`)
  return `not installed: ${absent.join(', ')}`
}

export interface Running {
  readonly child: ChildProcess
  readonly pid: number
  /** All that it printed so far. */
  output(): string
  /** Resolves with the exit code when the process has ended. */
  readonly exited: Promise<number | null>
  /** Sends the signal and waits for the end; SIGKILL after `graceMs`. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<number | null>
}

/** Programs that have not ended, by their process, with the command line. */
const alive = new Map<ChildProcess, string>()

/** Starts a program whose output is kept. It ends with this process at the latest, however that ends. */
export function start(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Running {
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that what it has forked ends with it: Kamailio's children outlive a parent that is killed, and
    // would hold our end of their output open, and with it the test.
    detached: true,
  })
  alive.set(child, [command, ...args].join(' ').slice(0, 200))
  let text = ''
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-1_000_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const exited = new Promise<number | null>((done) => {
    const ended = (code: number | null): void => {
      alive.delete(child)
      killGroup(child)
      done(code)
    }
    child.on('error', () => ended(null))
    child.on('exit', ended)
  })
  return {
    child,
    pid: child.pid ?? -1,
    output: () => text,
    exited,
    stop: async (signal = 'SIGTERM', graceMs = 5_000) => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      const killer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      const code = await exited
      clearTimeout(killer)
      return code
    },
  }
}

/** A program and whatever it has started. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing is left.
  }
}

function killAll(): void {
  for (const child of alive.keys()) killGroup(child)
}

process.on('exit', killAll)
// They are in groups of their own: what a terminal or a runner sends to us does not reach them.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
tellAtLimit(() => [...alive].map(([{ pid }, line]) => `still running: ${pid} ${line}`))
// A test that fails before it has told who ends what it started would wait for that for ever.
if (process.env['NODE_TEST_CONTEXT'] !== undefined) (await import('node:test')).after(killAll)

/** Waits until `check` gives something other than undefined, false or null; rejects after `ms` with `what`. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  ms = 10_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + ms
  for (;;) {
    const value = await Promise.resolve()
      .then(check)
      .catch(() => undefined)
    if (value !== undefined && value !== null && value !== false) return value as NonNullable<T>
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await new Promise((done) => setTimeout(done, 20))
  }
}

/** Seconds of CPU that a process and its children have used, from /proc (utime and stime at 100 Hz). */
export function cpuSeconds(pid: number): number {
  return family(pid).reduce((sum, p) => {
    try {
      const stat = readFileSync(`/proc/${p}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return sum + (Number(fields[11]) + Number(fields[12])) / 100
    } catch {
      return sum
    }
  }, 0)
}

/** Resident memory of one process, bytes. */
export function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(match?.[1] ?? 0) * 1024
}

function family(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    } catch {
      // Ended meanwhile.
    }
  }
  const all = [pid]
  for (const p of all) all.push(...(children.get(p) ?? []))
  return all
}
