#!/usr/bin/env node
import { main } from '../cli/main.ts'

process.exitCode = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env: process.env,
  checkScript: async (path, limits) => {
    const { checkScript } = await import('../server/check-script.ts')
    return checkScript(path, limits)
  },
})
