import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A script, or a file of it, imports what is not there. Names the place of the import, which Node does not. */
export class MissingImport extends Error {
  /** Path of the file that imports. */
  readonly importer: string
  /** From 1; of the name of what is imported. */
  readonly line: number
  readonly column: number

  constructor(specifier: string, importer: string) {
    super(`cannot find '${specifier}'${hint(specifier, importer)}`)
    this.name = 'MissingImport'
    this.importer = importer
    const { line, column } = find(specifier, importer)
    this.line = line
    this.column = column
  }
}

/** @param importer URL of the file that imports, as a loader has it */
export function missingImport(error: unknown, specifier: string, importer: string | undefined): unknown {
  const { code } = error as { code?: unknown }
  if (code !== 'ERR_MODULE_NOT_FOUND' || importer?.startsWith('file:') !== true) return error
  return new MissingImport(specifier, fileURLToPath(importer))
}

/** What TypeScript's bundlers allow and Node does not: a file named without its ending. */
function hint(specifier: string, importer: string): string {
  if (!specifier.startsWith('.')) return ''
  for (const name of [`${specifier}.ts`, `${specifier}/index.ts`, specifier.replace(/\.m?js$/, '.ts')]) {
    if (name !== specifier && existsSync(resolve(dirname(importer), name))) return `; write '${name}'`
  }
  return ''
}

function find(specifier: string, importer: string): { line: number; column: number } {
  const lines = readFileSync(importer, 'utf8').split('\n')
  for (const [at, text] of lines.entries()) {
    const column = Math.max(text.indexOf(`'${specifier}'`), text.indexOf(`"${specifier}"`))
    if (column >= 0) return { line: at + 1, column: column + 1 }
  }
  return { line: 1, column: 1 }
}
