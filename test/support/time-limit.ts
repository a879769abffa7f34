import { writeSync } from 'node:fs'

/**
 * A time limit for each test file: a file whose tests have ended waits as long as anything it has opened is open (a program
 * that holds our end of its output, a timer), and the runner with it. `npm test` loads this before every file, and
 * programs.ts for those that run files by hand.
 */

/** Five minutes: the longest file takes one. SIPHON_FULL=1 runs load for minutes. */
const LIMIT_MS = process.env['SIPHON_FULL'] === '1' ? 30 * 60_000 : 5 * 60_000

const told: (() => readonly string[])[] = []

/** Lines to print beside what is open when time is up. */
export function tellAtLimit(lines: () => readonly string[]): void {
  told.push(lines)
}

// Set in the process of a test file, and not in the runner's, which has no limit.
if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  setTimeout(() => {
    const open = process.getActiveResourcesInfo().join(', ')
    const lines = [`a test file is not done after ${LIMIT_MS / 1000} s; open: ${open}`]
    // Written at once: the process ends with the next line.
    writeSync(2, [...lines, ...told.flatMap((t) => t()), ''].join('\n'))
    process.exit(1)
  }, LIMIT_MS).unref()
}
