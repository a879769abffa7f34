import { existsSync } from 'node:fs'
import { threadName } from 'node:worker_threads'

/** Imported into a server under test: while the file that STUCK_FILE names is there, its engine thread stands still. */
if (threadName === 'engine') {
  const never = new Int32Array(new SharedArrayBuffer(4))
  setInterval(() => {
    while (existsSync(process.env['STUCK_FILE'] ?? '')) Atomics.wait(never, 0, 0, 100)
  }, 100)
}
