import { configJsonSchema } from '../config/json-schema.ts'
import { referenceTables } from '../config/reference.ts'

/** `siphon schema`: the JSON Schema of siphon.yaml for editors, or the tables of its reference page. */
export function schemaText(format: 'json' | 'markdown'): string {
  return format === 'json' ? `${JSON.stringify(configJsonSchema(), null, 2)}\n` : referenceTables()
}
