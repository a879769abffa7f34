import { loadConfig, type Loaded, type LoadResult } from '../config/load.ts'
import { certificateFaults, scriptFileFault } from './check.ts'
import { EXIT } from './exit-codes.ts'
import { faultsAsText } from './faults.ts'
import { serve } from './serve.ts'
import { hints, whereToLook } from './welcome.ts'
import { version } from './version.ts'

/** `siphon run`: resolves to the exit code once the server has stopped. */
export async function runCommand(options: { readonly config: string }): Promise<number> {
  const loaded = await usable(loadConfig(options.config, process.env))
  if (loaded === null) return EXIT.configuration
  const { config } = loaded
  return serve(config, {
    onReady: (addresses) => {
      // A log for collectors is JSON to the last line; there, the server's own word is enough.
      if (config.log.format === 'json') return
      process.stdout.write(
        `SIPhon ${version()} is ready\n\n${whereToLook(addresses, config)}\n${hints(addresses)}\n`,
      )
    },
  })
}

/** What was loaded, when it has no fault and its script is there; otherwise every fault of it is on stderr. */
export async function usable(result: LoadResult): Promise<Loaded | null> {
  const faults = result.ok ? [] : [...result.faults]
  const wrong = result.script === null ? null : await scriptFileFault(result.script.path)
  if (wrong !== null && result.script !== null) faults.push(result.script.fault(wrong.what, wrong.instead))
  faults.push(...certificateFaults(result))
  process.stderr.write(faultsAsText(faults, result.warnings))
  return result.ok && faults.length === 0 ? result : null
}
