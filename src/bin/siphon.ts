#!/usr/bin/env node
import { leaveIfStuck } from '../cli/leave.ts'
import { main } from '../cli/main.ts'

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
