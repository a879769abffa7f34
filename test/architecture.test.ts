import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, it } from 'node:test'

/** Who may import whom: docs/decisions/0001-architecture.md. A folder may always import itself. */
const MAY_IMPORT: Record<string, readonly string[] | 'everything'> = {
  base: [],
  sip: [],
  spine: ['base', 'sip'],
  net: ['base'],
  config: ['base'],
  store: ['base', 'spine'],
  metrics: ['base'],
  stack: ['base', 'sip', 'spine', 'net'],
  core: ['base', 'sip', 'spine', 'stack'],
  media: ['base', 'sip', 'spine'],
  script: ['base', 'sip', 'spine', 'core', 'metrics'],
  observe: ['base', 'sip', 'spine', 'metrics'],
  server: 'everything',
  cli: 'everything',
  bin: 'everything',
}

const src = resolve(import.meta.dirname, '../src')

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) return sources(path)
    return path.endsWith('.ts') ? [path] : []
  })
}

function imports(path: string): { specifier: string; typeOnly: boolean }[] {
  const text = readFileSync(path, 'utf8')
  const found = text.matchAll(/^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s)?'([^']+)'/gm)
  return [...found].map((m) => ({ specifier: m[2] ?? '', typeOnly: m[1] !== undefined }))
}

const files = sources(src).map((path) => ({
  path,
  name: relative(src, path),
  folder: relative(src, path).split('/')[0] ?? '',
  text: readFileSync(path, 'utf8'),
}))

describe('architecture', () => {
  it('knows every folder of src', () => {
    const unknown = new Set(files.map((f) => f.folder).filter((f) => !(f in MAY_IMPORT)))
    assert.deepEqual([...unknown], [])
  })

  it('lets each folder import only what the table allows', () => {
    const wrong: string[] = []
    for (const file of files) {
      const allowed = MAY_IMPORT[file.folder]
      if (allowed === undefined || allowed === 'everything') continue
      for (const { specifier, typeOnly } of imports(file.path)) {
        if (!specifier.startsWith('.')) continue
        const target = relative(src, resolve(dirname(file.path), specifier)).split('/')[0] ?? ''
        if (target === file.folder || allowed.includes(target)) {
          // Scripts know the core by its types alone: the two run on different threads.
          if (file.folder === 'script' && target === 'core' && !typeOnly)
            wrong.push(`${file.name} → ${specifier}`)
          continue
        }
        wrong.push(`${file.name} → ${specifier}`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  it('keeps node, the clock and chance out of sip', () => {
    const impure = files
      .filter((f) => f.folder === 'sip')
      .filter((f) => /from 'node:|Date\.now|performance\.now|Math\.random|setTimeout/.test(f.text))
    assert.deepEqual(
      impure.map((f) => f.name),
      [],
    )
  })

  it('reads time and draws chance in base alone, on the call path', () => {
    const impure = files
      .filter((f) => ['sip', 'spine', 'stack', 'core'].includes(f.folder))
      .filter((f) => /Date\.now|performance\.now|Math\.random|setTimeout\(|setInterval\(/.test(f.text))
    assert.deepEqual(
      impure.map((f) => f.name),
      [],
    )
  })
})
