import { readdirSync, readFileSync } from 'node:fs'
import type { MetricsReader } from '../../metrics/reader.ts'
import { LIVE_BYTES } from './probe.ts'

export interface ProcessOptions {
  /** Of the server, as in package.json. */
  readonly version: string
  /** Seconds since the Unix epoch at which the server began. */
  readonly startTime: number
  /** Bytes of shared memory that no thread's heap statistics count, apart from the metrics' own. */
  readonly sharedBytes?: () => number
}

/** Declares what is known of the process as a whole, under the names the usual client libraries have made known. */
export function declareProcess(reader: MetricsReader, options: ProcessOptions): void {
  const gauge = (name: string, help: string, collect: () => number | null): void => {
    reader.gaugeFrom(name, help, [], collect)
  }
  const counter = (name: string, help: string, collect: () => number): void => {
    reader.counterFrom(name, help, [], collect)
  }
  counter('process_cpu_user_seconds_total', 'User CPU time of the process', () =>
    seconds(process.cpuUsage().user),
  )
  counter('process_cpu_system_seconds_total', 'System CPU time of the process', () =>
    seconds(process.cpuUsage().system),
  )
  counter('process_cpu_seconds_total', 'User and system CPU time of the process', () => {
    const { user, system } = process.cpuUsage()
    return seconds(user + system)
  })
  gauge('process_start_time_seconds', 'When the process began, since the Unix epoch', () => processStart)
  gauge('process_resident_memory_bytes', 'Resident memory of the process', () => process.memoryUsage.rss())
  gauge('process_virtual_memory_bytes', 'Virtual memory of the process', () => statusBytes('VmSize'))
  gauge('process_heap_bytes', 'Data segment of the process', () => statusBytes('VmData'))
  gauge('process_open_fds', 'Open file descriptors', openFiles)
  gauge('process_max_fds', 'Most file descriptors the process may open', maxFiles)

  const [major = '', minor = '', patch = ''] = process.versions.node.split('.')
  reader.gaugeFrom(
    'nodejs_version_info',
    'Version of Node.js',
    ['version', 'major', 'minor', 'patch'],
    () => [[{ version: process.version, major, minor, patch }, 1]],
  )
  reader.gaugeFrom('siphon_build_info', 'Version of the server and of Node.js', ['version', 'node'], () => [
    [{ version: options.version, node: process.versions.node }, 1],
  ])
  gauge('siphon_start_time_seconds', 'When the server began, since the Unix epoch', () => options.startTime)
  gauge(
    'siphon_memory_allocated_bytes',
    'Live bytes of all threads: heaps after their last full collection, and external',
    () => {
      const threads = reader.sum(LIVE_BYTES)
      return threads === null ? null : threads + reader.sharedBytes + (options.sharedBytes?.() ?? 0)
    },
  )
}

function seconds(microseconds: number): number {
  return microseconds / 1e6
}

// Taken once: seconds since the epoch, of the process and not of this module.
const processStart = Math.round(Date.now() - process.uptime() * 1000) / 1000

/** A line of /proc/self/status; null where there is no such file (not Linux). */
function statusBytes(key: string): number | null {
  const found = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(readProc('/proc/self/status'))
  return found === null ? null : Number(found[1]) * 1024
}

function openFiles(): number | null {
  try {
    // Reading the directory opens one itself.
    return readdirSync('/proc/self/fd').length - 1
  } catch {
    return null
  }
}

function maxFiles(): number | null {
  const found = /^Max open files\s+(\d+)/m.exec(readProc('/proc/self/limits'))
  return found === null ? null : Number(found[1])
}

function readProc(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
