import { isMainThread, Worker } from 'node:worker_threads'

/** Imported into a server under test: SIGUSR2 sends its engine thread a message that it cannot digest. */
if (isMainThread) {
  const original = Worker.prototype.postMessage
  let engine: Worker | null = null
  const remember = (worker: Worker): void => {
    if (worker.threadName === 'engine') engine = worker
  }
  Worker.prototype.postMessage = function (this: Worker, ...args: Parameters<typeof original>) {
    remember(this)
    return original.apply(this, args)
  }
  process.on('SIGUSR2', () =>
    engine?.postMessage({ what: 'script', message: { what: 'worker', worker: null } }),
  )
}
