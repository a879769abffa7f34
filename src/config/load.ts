import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import type { Config } from './config.ts'
import { crossFaults } from './cross.ts'
import type { Environment } from './expand.ts'
import { byPlace, type ConfigFault, type KeyPath } from './fault.ts'
import { knownKeys } from './json-schema.ts'
import { readYaml, type ReadFile } from './read.ts'
import { blocks, type Blocks } from './schema.ts'
import { settle } from './settle.ts'
import { withoutInvalid } from './valid.ts'
import { suggest } from '../base/suggest.ts'

export interface Loaded {
  readonly ok: true
  readonly config: Config
  readonly warnings: readonly ConfigFault[]
  /** A fault at a key of the file, for what shows only later: a missing script, a port that is taken. */
  readonly fault: (path: KeyPath, what: string, instead: string) => ConfigFault
  readonly script: NamedScript
}

export type LoadResult =
  | Loaded
  | {
      readonly ok: false
      readonly faults: readonly ConfigFault[]
      readonly warnings: readonly ConfigFault[]
      /** Null when the file does not say which. */
      readonly script: NamedScript | null
    }

/** The script that a configuration names, known even where other blocks have faults: it can be looked at, too. */
export interface NamedScript {
  /** Absolute. */
  readonly path: string
  readonly memory_limit_mb: number
  /** A fault at the key that names it. */
  readonly fault: (what: string, instead: string) => ConfigFault
}

/**
 * Reads siphon.yaml: YAML 1.2, `${…}` out of `env`, then every check at once. Faults and warnings come in the order
 * of the file. Does not look at the script, nor whether ports are free.
 */
export function loadConfig(file: string, env: Environment): LoadResult {
  let source: string
  try {
    source = readFileSync(file, 'utf8')
  } catch (error) {
    const what = `cannot be read: ${error instanceof Error ? error.message : String(error)}`
    const instead = 'name the configuration file with -c FILE'
    return {
      ok: false,
      faults: [{ file, line: 1, column: 1, path: '', what, instead }],
      warnings: [],
      script: null,
    }
  }
  return parseConfig(file, source, env)
}

/** As `loadConfig`, from text; `file` is what faults name and what relative paths start from. */
export function parseConfig(file: string, source: string, env: Environment): LoadResult {
  const read = readYaml(file, source, env)
  const { root, faults, warnings } = read
  if (root === null) return { ok: false, faults, warnings, script: null }

  const parsed: Partial<Record<keyof Blocks, unknown>> = {}
  /** The same, with blocks that have faults as far as they are valid. */
  const valid: Partial<Record<keyof Blocks, unknown>> = {}
  for (const key of Object.keys(root)) {
    if (!Object.hasOwn(blocks, key)) faults.push(unknownKey(read, [], key))
  }
  // Value by value, so that a fault in one does not hide what is wrong between the others.
  for (const key of Object.keys(blocks) as (keyof Blocks)[]) {
    const value = Object.hasOwn(root, key) ? root[key] : undefined
    const result = blocks[key].safeParse(value)
    if (result.success) {
      parsed[key] = valid[key] = result.data
      continue
    }
    const { issues } = result.error
    for (const issue of issues) faults.push(...faultsOf(read, key, issue))
    // Keys that nobody knows say nothing about those that are known.
    const known = withoutUnknown(value, issues)
    const rest = blocks[key].safeParse(known)
    if (rest.success) parsed[key] = valid[key] = rest.data
    else valid[key] = validPart(key, known, rest.error.issues)
  }
  for (const cross of crossFaults(valid as Partial<Blocks>)) {
    faults.push(read.fault(cross.path, 'value', cross.what, cross.instead))
  }
  const script = namedScript(read, file, parsed.script as Blocks['script'] | undefined, root['script'])
  if (faults.length > 0 || script === null) {
    return { ok: false, faults: unique(faults).sort(byPlace), warnings, script }
  }
  return {
    ok: true,
    config: settle(parsed as Blocks, resolve(file), env),
    warnings,
    fault: (path, what, instead) => read.fault(path, 'value', what, instead),
    script,
  }
}

/** @param written the block as it stands in the file: whatever else is wrong with it, it may name a script */
function namedScript(
  read: ReadFile,
  file: string,
  block: Blocks['script'] | undefined,
  written: unknown,
): NamedScript | null {
  const path = block?.path ?? (written as { path?: unknown } | null | undefined)?.path
  if (typeof path !== 'string' || path === '') return null
  return {
    path: resolve(dirname(resolve(file)), path),
    memory_limit_mb: block?.memory_limit_mb ?? blocks.script.parse({ path }).memory_limit_mb,
    fault: (what, instead) => read.fault(['script', 'path'], 'value', what, instead),
  }
}

/** A block that has faults, as far as it is valid; undefined when it is none. */
function validPart(
  key: keyof Blocks,
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
): object | undefined {
  const paths = issues.map((issue) => pathOf(issue))
  if (paths.some((path) => path.length === 0)) return undefined
  // What `safeParse` makes beside its issues, and keeps to itself.
  const made = blocks[key]._zod.run({ value, issues: [] }, { async: false })
  if (made instanceof Promise || typeof made.value !== 'object' || made.value === null) return undefined
  return withoutInvalid(made.value, paths)
}

function pathOf(issue: z.core.$ZodIssue): KeyPath {
  return issue.path.map((p) => (typeof p === 'symbol' ? String(p) : p))
}

/** A copy of a block without the keys that these issues call unknown. */
function withoutUnknown(block: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy = structuredClone(block)
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue
    let owner = copy as Record<PropertyKey, unknown>
    for (const step of issue.path) owner = owner[step] as Record<PropertyKey, unknown>
    for (const key of issue.keys) delete owner[key]
  }
  return copy
}

function faultsOf(read: ReadFile, block: string, issue: z.core.$ZodIssue): ConfigFault[] {
  const path: KeyPath = [block, ...pathOf(issue)]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(read, path, key))
    case 'custom': {
      const instead: unknown = issue.params?.['instead']
      return [read.fault(path, 'value', issue.message, typeof instead === 'string' ? instead : '')]
    }
    case 'invalid_type':
      return [
        issue.expected === 'array'
          ? read.fault(path, 'value', 'is not a list', 'write its entries in [ ], or one a line after a dash')
          : read.fault(path, 'value', 'is not a block', 'write its keys below it, indented'),
      ]
    default:
      return [read.fault(path, 'value', issue.message, '')]
  }
}

function unknownKey(read: ReadFile, path: KeyPath, key: string): ConfigFault {
  const known = knownKeys(path)
  const near = suggest(key, known)
  const instead = near === null ? `known here: ${known.join(', ')}` : `did you mean ${near}?`
  return read.fault([...path, key], 'key', 'is not a key of the configuration', instead)
}

/** A variable that is not set leaves its text behind, which the schema then refuses too: the first word is enough. */
function unique(faults: readonly ConfigFault[]): ConfigFault[] {
  const seen = new Set<string>()
  return faults.filter((f) => {
    const key = `${f.line}:${f.column}:${f.path}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}
