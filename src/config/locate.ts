import { isAlias, isMap, isPair, isScalar, isSeq, type Document, type LineCounter, type Node } from 'yaml'
import type { KeyPath } from './fault.ts'

export interface Place {
  readonly line: number
  readonly column: number
}

/**
 * Where in the file a key path stands: at its value, at the key itself (`at: 'key'`), or, when it is not there,
 * at the nearest key above that is.
 */
export function locate(doc: Document.Parsed, lines: LineCounter, path: KeyPath, at: 'key' | 'value'): Place {
  let node: unknown = doc.contents
  let offset = offsetOf(doc.contents)
  for (const [i, part] of path.entries()) {
    const current: unknown = isAlias(node) ? node.resolve(doc) : node
    const last = i === path.length - 1
    if (isMap(current)) {
      const pair = current.items.find((item) => isPair(item) && keyText(item.key) === String(part))
      if (pair === undefined) break
      node = pair.value
      const value = offsetOf(node)
      // A nested map is best pointed at by its key; a value by itself.
      const byKey = (last && at === 'key') || isMap(node) || isSeq(node) || value === null
      offset = (byKey ? offsetOf(pair.key) : value) ?? offset
    } else if (isSeq(current) && typeof part === 'number') {
      node = current.items[part]
      offset = offsetOf(node) ?? offset
    } else break
  }
  return placeOf(lines, offset ?? 0)
}

/** Line and column, from 1. */
export function placeOf(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key)
}

function offsetOf(node: unknown): number | null {
  const range = (node as Node | null | undefined)?.range
  return range === undefined || range === null ? null : range[0]
}
