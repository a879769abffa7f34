import { accessSync, constants, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Environment } from '../config/expand.ts'
import type { ConfigFault } from '../config/fault.ts'
import { loadConfig, type LoadResult, type NamedScript } from '../config/load.ts'
import type { ScriptFault } from '../script/conversation.ts'
import { authorityFaults, readTls } from '../server/certificates.ts'
import type { ScriptCheck } from '../server/check-script.ts'
import { EXIT } from './exit-codes.ts'
import { faultsAsJson, faultsAsText, type Format } from './faults.ts'
import { scriptFault } from './script-fault.ts'

/** See `checkScript`. */
export type CheckScript = (path: string, limits: { readonly memoryLimitMb: number }) => Promise<ScriptCheck>

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
  const warnings: ConfigFault[] = [...result.warnings, ...recordsFileDoubts(result)]
  if (result.script !== null) {
    const script = await scriptFaults(result.script, context.checkScript)
    faults.push(...script.faults)
    warnings.push(...script.warnings)
  }
  if (options.format === 'json') context.out(faultsAsJson(faults, warnings))
  else {
    context.out(faultsAsText(faults, warnings))
    if (faults.length === 0) context.out(`${options.config}: no fault\n`)
  }
  return faults.length === 0 ? EXIT.ok : EXIT.configuration
}

/** Certificates that are not there or do not fit their keys, our own and those that we trust. */
export function certificateFaults(result: LoadResult): ConfigFault[] {
  if (!result.ok) return []
  const { config } = result
  const read = config.tls === null ? null : readTls(config.tls)
  const faults = [...(read === null || read.ok ? [] : read.faults), ...authorityFaults(config)]
  return faults.map(({ path, what, instead }) => result.fault(path, what, instead))
}

/** A doubt only: whoever checks may be another user than the server's, and the folder may come to be. */
function recordsFileDoubts(result: LoadResult): ConfigFault[] {
  if (!result.ok) return []
  const { enabled, backends, file } = result.config.cdr
  const why = enabled && backends.includes('file') ? unwritable(file.path) : null
  if (why === null) return []
  const instead =
    'records would wait in memory, and be lost past cdr.channel_size: let the server write there'
  return [result.fault(['cdr', 'file', 'path'], `cannot be written by this user: ${why}`, instead)]
}

/** What keeps us from writing a file, or from making it with its folders; null when nothing is seen that does. */
function unwritable(path: string): string | null {
  for (let at = path; ; at = dirname(at)) {
    try {
      const isFolder = statSync(at).isDirectory()
      if (at === path && isFolder) return `EISDIR: ${at}`
      if (at !== path && !isFolder) return `ENOTDIR: ${at}`
      accessSync(at, at === path ? constants.R_OK | constants.W_OK : constants.W_OK | constants.X_OK)
      return null
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Below what is not there, or is no folder: what is above it tells.
      if (code !== 'ENOENT' && code !== 'ENOTDIR') return `${code}: ${at}`
    }
  }
}

async function scriptFaults(
  script: NamedScript,
  check: CheckScript,
): Promise<{ faults: readonly ConfigFault[]; warnings: readonly ConfigFault[] }> {
  const wrong = await scriptFileFault(script.path)
  if (wrong !== null) return { faults: [script.fault(wrong.what, wrong.instead)], warnings: [] }
  const { faults, doubts } = await check(script.path, { memoryLimitMb: script.memory_limit_mb })
  const told = (fault: ScriptFault): ConfigFault => scriptFault(script.path, fault)
  return { faults: faults.map(told), warnings: doubts.map(told) }
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
