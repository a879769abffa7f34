import { LineCounter, parseDocument, visit, isAlias, isPair, isScalar, isSeq, type Document } from 'yaml'
import { expand, type Environment } from './expand.ts'
import { byPlace, formatPath, type ConfigFault, type KeyPath } from './fault.ts'
import { locate, placeOf } from './locate.ts'
import { isMap, takeUnsupported } from './unsupported.ts'

/** A YAML file, parsed and with its variables expanded, that can still say where each key stands. */
export interface ReadFile {
  /** The parsed file without what is not supported and without empty (null) keys; null when it cannot be read as YAML. */
  readonly root: Record<string, unknown> | null
  readonly faults: ConfigFault[]
  readonly warnings: ConfigFault[]
  fault(path: KeyPath, at: 'key' | 'value', what: string, instead: string): ConfigFault
}

const INSTEAD: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  DUPLICATE_KEY: 'keep one of the two',
  BAD_INDENT: 'line it up with the keys beside it',
  MULTIPLE_DOCS: 'keep one document; take the --- out',
}

/** Parses YAML 1.2 and expands `${…}` in scalars only, so that nothing out of the environment can change the structure. */
export function readYaml(file: string, source: string, env: Environment): ReadFile {
  const lines = new LineCounter()
  const doc = parseDocument(source, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    merge: true,
  })
  const fault = (path: KeyPath, at: 'key' | 'value', what: string, instead: string): ConfigFault => ({
    file,
    ...locate(doc, lines, path, at),
    path: formatPath(path),
    what,
    instead,
  })
  const faults: ConfigFault[] = doc.errors.map((error) => ({
    file,
    ...placeOf(lines, error.pos[0]),
    path: '',
    what: `is not YAML: ${firstLine(error.message)}`,
    instead: INSTEAD[error.code] ?? 'check the indentation, and put text with : { } or # in quotes',
  }))
  if (faults.length > 0) return { root: null, faults, warnings: [], fault }

  const unset = expandScalars(doc, env)
  let root: unknown
  try {
    root = doc.toJS() ?? {}
  } catch (error) {
    // An alias to nothing, or one that multiplies itself.
    faults.push(fault([], 'value', `is not YAML: ${firstLine(String(error))}`, 'check the aliases (*name)'))
    return { root: null, faults, warnings: [], fault }
  }
  if (!isMap(root)) {
    faults.push(
      fault([], 'value', 'is not a configuration', 'write blocks like "script:" with their keys below'),
    )
    return { root: null, faults, warnings: [], fault }
  }
  const unsupported = takeUnsupported(root)
  const ignored = unsupported.map((u) => formatPath(u.path))
  for (const { path, what, instead } of unset) {
    const text = formatPath(path)
    if (!ignored.some((p) => text === p || text.startsWith(`${p}.`) || text.startsWith(`${p}[`))) {
      faults.push(fault(path, 'value', what, instead))
    }
  }
  const warnings = unsupported.map((u) => fault(u.path, 'key', u.what, u.instead))
  for (const warning of doc.warnings) {
    const where = placeOf(lines, warning.pos[0])
    warnings.push({ file, ...where, path: '', what: firstLine(warning.message), instead: 'check this line' })
  }
  dropNulls(root)
  return { root, faults, warnings: warnings.sort(byPlace), fault }
}

interface Unset {
  readonly path: KeyPath
  readonly what: string
  readonly instead: string
}

function expandScalars(doc: Document.Parsed, env: Environment): Unset[] {
  const unset: Unset[] = []
  visit(doc, {
    Scalar(key, node, ancestors) {
      if (key === 'key' || typeof node.value !== 'string') return
      const result = expand(node.value, env)
      if (result.ok) node.value = result.text
      else unset.push({ path: pathOf(key, ancestors), what: result.what, instead: result.instead })
    },
  })
  return unset
}

function pathOf(key: unknown, ancestors: readonly unknown[]): KeyPath {
  const path: (string | number)[] = []
  for (const [i, ancestor] of ancestors.entries()) {
    if (isPair(ancestor))
      path.push(isScalar(ancestor.key) ? String(ancestor.key.value) : String(ancestor.key))
    else if (isSeq(ancestor)) {
      const child = ancestors[i + 1]
      path.push(
        child === undefined
          ? Number(key)
          : ancestor.items.findIndex((item) => item === child && !isAlias(item)),
      )
    }
  }
  return path
}

/** A key with nothing behind it (all its lines commented out) counts as absent. */
function dropNulls(value: unknown): void {
  if (Array.isArray(value)) value.forEach(dropNulls)
  else if (isMap(value)) {
    for (const [key, child] of Object.entries(value)) {
      if (child === null || child === undefined) delete value[key]
      else dropNulls(child)
    }
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
