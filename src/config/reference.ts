import { supported, type SchemaNode } from './json-schema.ts'

/** The tables of docs/configuration.md, one for each block, out of the schema: key, value, default, meaning. */
export function referenceTables(): string {
  const sections: string[] = []
  const root = supported()
  const top = Object.entries(root.properties ?? {})
  for (const [name, node] of top) {
    const rows = node.properties ? leaves(name, node) : rowsOf(name, node, false)
    sections.push(
      [
        `### \`${name}\``,
        '',
        ...(node.properties ? [node.description ?? '', ''] : []),
        '| key | value | default | meaning |',
        '| --- | --- | --- | --- |',
        ...rows,
      ].join('\n'),
    )
  }
  return `${sections.join('\n\n')}\n`
}

function leaves(prefix: string, node: SchemaNode): string[] {
  const rows: string[] = []
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    const path = `${prefix}.${key}`
    if (child.properties)
      rows.push(`| \`${path}\` | block | | ${child.description ?? ''} |`, ...leaves(path, child))
    else rows.push(...rowsOf(path, child, node.required?.includes(key) ?? false))
  }
  return rows
}

/** A key, and below a list of blocks the keys of one of them: `gateway.groups[].name`. */
function rowsOf(path: string, node: SchemaNode, required: boolean): string[] {
  const own = row(path, node, required)
  return node.items?.properties ? [own, ...leaves(`${path}[]`, node.items)] : [own]
}

function row(path: string, node: SchemaNode, required: boolean): string {
  const standard =
    node.default === undefined
      ? required
        ? '**required**'
        : '–'
      : `\`${JSON.stringify(node.default).replaceAll('"', '')}\``
  return `| \`${path}\` | ${valueOf(node)} | ${standard} | ${node.description ?? ''} |`
}

function valueOf(node: SchemaNode): string {
  if (node.properties) return 'blocks'
  if (node.enum) return node.enum.map((v) => `\`${v}\``).join(', ')
  const whole = node.anyOf?.find((n) => n.type === 'integer')
  if (whole)
    return `number, ${whole.minimum} to ${whole.maximum}, or \`${node.anyOf?.at(-1)?.enum?.join('`, `')}\``
  const duration = node.anyOf?.find((n) => n.type === 'number')
  if (duration) return `duration, ${duration.minimum}s to ${duration.maximum}s`
  if (node.anyOf) return 'address'
  if (node.type === 'array') return `list of ${node.items ? valueOf(node.items) : 'values'}`
  if (node.type === 'integer' || node.type === 'number') return `number, ${node.minimum} to ${node.maximum}`
  if (node.type === 'object') return node.properties ? 'blocks' : 'keys of your own with values'
  return node.type === 'boolean' ? '`true`, `false`' : 'text'
}
