#!/usr/bin/env node
import { leaveIfStuck } from '../cli/leave.ts'
import { main } from '../cli/main.ts'

// Whoever reads may have had enough (`siphon schema | head`): no reason for anything but silence.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

const code = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env: process.env,
  checkScript: async (path, limits) => {
    const { checkScript } = await import('../server/check-script.ts')
    return checkScript(path, limits)
  },
})
process.exitCode = code
leaveIfStuck(code)
