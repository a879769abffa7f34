import { stat } from 'node:fs/promises'
import type { Environment } from '../config/expand.ts'
import type { ConfigFault } from '../config/fault.ts'
import { loadConfig, type LoadResult, type NamedScript } from '../config/load.ts'
import type { ScriptFault } from '../script/conversation.ts'
import { readTls } from '../server/certificates.ts'
import { EXIT } from './exit-codes.ts'
import { faultsAsJson, faultsAsText, type Format } from './faults.ts'
import { scriptFault } from './script-fault.ts'

/** Loads a script the way the server would, declarations included, and says why it would not serve. */
export type CheckScript = (
  path: string,
  limits: { readonly memoryLimitMb: number },
) => Promise<ScriptFault | null>

export interface CheckOptions {
  readonly config: string
  readonly format: Format
}

export interface CheckContext {
  readonly env: Environment
  readonly checkScript: CheckScript
  /** Faults, in the format asked for. */
  readonly out: (text: string) => void
}

/** `siphon check`: every fault of the configuration and the script. Resolves to the exit code: 0, or 78. */
export async function checkCommand(options: CheckOptions, context: CheckContext): Promise<number> {
  const result = loadConfig(options.config, context.env)
  const faults: ConfigFault[] = result.ok ? [] : [...result.faults]
  faults.push(...certificateFaults(result))
  if (result.script !== null) faults.push(...(await scriptFaults(result.script, context.checkScript)))
  if (options.format === 'json') context.out(faultsAsJson(faults, result.warnings))
  else {
    context.out(faultsAsText(faults, result.warnings))
    if (faults.length === 0) context.out(`${options.config}: no fault\n`)
  }
  return faults.length === 0 ? EXIT.ok : EXIT.configuration
}

/** Certificates that are not there or do not fit their keys. */
export function certificateFaults(result: LoadResult): ConfigFault[] {
  if (!result.ok || result.config.tls === null) return []
  const read = readTls(result.config.tls)
  return read.ok ? [] : read.faults.map(({ path, what, instead }) => result.fault(path, what, instead))
}

async function scriptFaults(script: NamedScript, check: CheckScript): Promise<ConfigFault[]> {
  const wrong = await scriptFileFault(script.path)
  if (wrong !== null) return [script.fault(wrong.what, wrong.instead)]
  const fault = await check(script.path, { memoryLimitMb: script.memory_limit_mb })
  return fault === null ? [] : [scriptFault(script.path, fault)]
}

/** What is wrong with the script before it is even read; null when nothing is. */
export async function scriptFileFault(path: string): Promise<{ what: string; instead: string } | null> {
  if (path.endsWith('.py')) {
    return {
      what: 'names a Python script',
      instead: 'SIPhon is scripted in TypeScript: write the path of a .ts file',
    }
  }
  try {
    const found = await stat(path)
    return found.isFile() ? null : { what: `is not a file: ${path}`, instead: 'write the path of a .ts file' }
  } catch {
    return {
      what: `names a file that is not there: ${path}`,
      instead: 'paths start at the folder of this file',
    }
  }
}
