/** Something an operator should change in the configuration or the script, and what to change it to. */
export interface ConfigFault {
  readonly file: string
  /** From 1; 1 when the fault concerns the file as a whole. */
  readonly line: number
  /** From 1. */
  readonly column: number
  /** `cdr.http.url`, `listen.udp[1]`; empty when no key is concerned. */
  readonly path: string
  /** What is wrong. Never repeats a value, because a value may be a secret out of the environment. */
  readonly what: string
  /** What to write instead. */
  readonly instead: string
}

/** Keys and list positions from the top of the file. */
export type KeyPath = readonly (string | number)[]

/** `listen.udp[1].address`. */
export function formatPath(path: KeyPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}

/** `file:line:col path — what, and what to write instead`: a line that editors and terminals make a link of. */
export function formatFault(fault: ConfigFault): string {
  const where = `${fault.file}:${fault.line}:${fault.column}`
  const path = fault.path === '' ? '' : ` ${fault.path}`
  const instead = fault.instead === '' ? '' : `; ${fault.instead}`
  return `${where}${path} — ${fault.what}${instead}`
}

/** By place in the file, so that an operator mends from top to bottom. */
export function byPlace(a: ConfigFault, b: ConfigFault): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return a.line - b.line || a.column - b.column
}
