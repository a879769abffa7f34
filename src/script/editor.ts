import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The `tsconfig.json` that gives an editor completion and checks for scripts in any folder: `siphon init` writes it
 * beside the script. Paths are absolute, into the installation that runs.
 * @param files absolute; every script beside the file unless told
 */
export function editorConfig(files?: readonly string[]): string {
  const here = fileURLToPath(import.meta.url)
  const root = join(dirname(here), '..', '..')
  const api = join(dirname(here), 'api', here.endsWith('.ts') ? 'index.ts' : 'index.d.ts')
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024'],
    module: 'esnext',
    moduleResolution: 'bundler',
    moduleDetection: 'force',
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
    strict: true,
    noEmit: true,
    noImplicitReturns: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    paths: { siphon: [api] },
  }
  const scripts = files === undefined ? { include: ['*.ts'] } : { files }
  return `${JSON.stringify({ compilerOptions, ...scripts }, null, 2)}\n`
}
