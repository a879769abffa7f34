import { z } from 'zod'
import { blocks } from './schema.ts'
import type { KeyPath } from './fault.ts'
import { unsupportedKeys } from './unsupported.ts'

/** A node of the JSON Schema, as far as we look into it. */
export interface SchemaNode {
  type?: string
  description?: string
  default?: unknown
  enum?: readonly string[]
  minimum?: number
  maximum?: number
  anyOf?: readonly SchemaNode[]
  items?: SchemaNode
  properties?: Record<string, SchemaNode>
  required?: readonly string[]
  additionalProperties?: boolean
  [key: string]: unknown
}

/** Draft-07, the newest that editors' YAML servers read. Keys not supported yet are known to it, and said to do nothing. */
export function configJsonSchema(): SchemaNode {
  const schema = supported()
  for (const key of unsupportedKeys) {
    const parts = key.split('.')
    const last = parts.pop() ?? ''
    const parent = parts.reduce<SchemaNode | undefined>((node, part) => node?.properties?.[part], schema)
    if (parent?.properties) parent.properties[last] = { description: 'Not supported yet: does nothing.' }
  }
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: 'siphon.yaml', ...schema }
}

/** Names of the keys that may stand at `path`. */
export function knownKeys(path: KeyPath): string[] {
  let node: SchemaNode | undefined = supported()
  for (const part of path) {
    node = typeof part === 'number' ? node?.items : node?.properties?.[part]
    node = node?.anyOf?.find((n) => n.properties) ?? node
  }
  return Object.keys(node?.properties ?? {})
}

/** The schema of what does something. */
export function supported(): SchemaNode {
  const { $schema: _, ...schema } = z.toJSONSchema(z.strictObject(blocks), {
    target: 'draft-7',
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      // zod takes the default of a transformed key away; ours is of the form that is written.
      const standard = z.globalRegistry.get(zodSchema)?.['default']
      if (standard !== undefined) Object.assign(jsonSchema, { default: standard })
      // Defaults of whole blocks say nothing that their keys do not.
      if (jsonSchema.type === 'object') delete jsonSchema.default
    },
  })
  return schema as SchemaNode
}
