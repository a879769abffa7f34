import { formatFault, type ConfigFault } from '../config/fault.ts'

export type Format = 'text' | 'json'

/** One line a fault; warnings after the faults, marked as such. */
export function faultsAsText(faults: readonly ConfigFault[], warnings: readonly ConfigFault[]): string {
  const lines = [...faults.map(formatFault), ...warnings.map((w) => `warning: ${formatFault(w)}`)]
  return lines.map((line) => `${printable(line)}\n`).join('')
}

/** One JSON object: `{ ok, faults, warnings }`. */
export function faultsAsJson(faults: readonly ConfigFault[], warnings: readonly ConfigFault[]): string {
  return `${JSON.stringify({ ok: faults.length === 0, faults, warnings }, null, 2)}\n`
}

/** A name in the file may hold what a terminal would obey. */
function printable(line: string): string {
  // oxlint-disable-next-line no-control-regex
  return line.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
