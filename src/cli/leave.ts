/** A thread of libuv that is to come back does so within that, ms. */
const GRACE_MS = 500

/**
 * Ends the process. `process.exit` waits for the threads of libuv, and one that writes to a disk which is gone (a dead NFS
 * server, a pipe that nobody reads) never comes back: then it takes SIGKILL, which whoever waits for us sees as 137.
 */
export function leave(code: number): void {
  if (!fileWaits()) process.exit(code)
  setTimeout(() => {
    if (fileWaits()) process.kill(process.pid, 'SIGKILL')
    process.exit(code)
  }, GRACE_MS)
}

/** To be called when everything has ended: the process is not to stay for what a disk does not answer. */
export function leaveIfStuck(code: number): void {
  if (fileWaits()) leave(code)
}

function fileWaits(): boolean {
  return process.getActiveResourcesInfo().some((resource) => resource.startsWith('FSReq'))
}
