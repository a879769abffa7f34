import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'

export interface LogSink {
  /** Takes finished lines, line end included. Never blocks on a reader. */
  write(text: string): void
  /** Resolves when everything has been written, or cannot be within two seconds. */
  close(): Promise<void>
  /** Lines given up because the reader did not keep up, or went away. */
  readonly dropped: number
}

/** 4 MiB wait for a slow reader; then lines are dropped and counted, for the control thread serves probes as well. */
const WAITING_BYTES = 4 * 1024 * 1024
const CLOSE_MS = 2000

/** Standard output of the process. */
export function standardOutput(): LogSink {
  const stream = openStandardOutput()
  let dropped = 0
  let gone = false
  stream.on('error', () => {
    // A reader that went away (EPIPE) is no reason to stop serving calls.
    gone = true
    dropped++
  })
  return {
    write(text) {
      if (gone || stream.writableLength > WAITING_BYTES) dropped++
      else stream.write(text)
    },
    close: () =>
      new Promise((resolve) => {
        if (gone) return resolve()
        const late = setTimeout(resolve, CLOSE_MS)
        // Called back after everything before it.
        stream.write('', () => {
          clearTimeout(late)
          resolve()
        })
      }),
    get dropped() {
      return dropped
    },
  }
}

/**
 * A pipe whose reader stands still must block neither this thread, as process.stdout does, nor a thread of the pool, as
 * fs.write does: the process could not even end then. A socket on the same descriptor waits in the poll instead.
 */
function openStandardOutput(): Writable {
  const kind = fstatSync(1)
  if (!kind.isFIFO() && !kind.isSocket()) return process.stdout
  return new Socket({ fd: 1, readable: false, writable: true })
}
