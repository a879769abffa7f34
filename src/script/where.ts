import { dirname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MissingImport } from './missing-import.ts'

/** Places in a user's script, as people write them: `script.ts:12:7`, relative to the folder of the script. */

let folder = process.cwd()
/** The server's own sources: frames in here are not the user's. */
const OWN = new URL('../', import.meta.url).href

export function setScript(path: string): void {
  folder = dirname(path)
}

/** Where the script called the function that called this. */
export function callSite(): string {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 20
  const place = firstFrame(new Error().stack ?? '')
  Error.stackTraceLimit = limit
  return place ?? 'script'
}

/** Where an error comes from: the text that does not parse, else the innermost frame in the user's files. */
export function placeOf(error: unknown): string | null {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return null
  if (error instanceof MissingImport) return `${shown(error.importer)}:${error.line}:${error.column}`
  return syntaxPlace(error) ?? firstFrame(error.stack)
}

/** One line: `TypeError: x is not a function`. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`
  const [first = ''] = error.message.split('\n')
  return `${error.name}: ${first}`
}

/** Node puts the place of a syntax error in front of the stack: `file:line`, the line, and a caret below the column. */
function syntaxPlace(error: Error): string | null {
  if (!(error instanceof SyntaxError)) return null
  const lines = (error.stack ?? '').split('\n')
  const head = /^(.+):(\d+)$/.exec(lines[0] ?? '')
  if (head === null) return null
  const [, file = '', line = ''] = head
  const caret = lines.slice(1, 4).find((text) => /^\s*\^+\s*$/.test(text))
  return `${shown(file)}:${line}:${caret === undefined ? 1 : caret.indexOf('^') + 1}`
}

function firstFrame(stack: string): string | null {
  for (const line of stack.split('\n')) {
    const frame = /^\s+at (?:.*\()?(?:async )?((?:file:\/\/|\/)[^()\n]+?):(\d+):(\d+)\)?$/.exec(line)
    if (frame === null) continue
    const [, name = '', row = '', column = ''] = frame
    if (name.startsWith(OWN) || name.startsWith(fileURLToPath(OWN)) || name.includes('/node_modules/'))
      continue
    return `${shown(name)}:${row}:${column}`
  }
  return null
}

function shown(file: string): string {
  const path = file.startsWith('file://') ? fileURLToPath(file) : file
  return relative(folder, path) || path
}
