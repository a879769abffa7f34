import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import { missingImport } from './missing-import.ts'

/**
 * Makes `import … from 'siphon'` work in a script wherever it lies, and keeps note of the files it is made of, which
 * are what a change is looked for in.
 */
const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const API = new URL(`./api/index${EXTENSION}`, import.meta.url).href
const OWN = new URL('../', import.meta.url).href

/** @returns URLs of the script's files, growing as it is imported */
export function hookScriptImports(): Set<string> {
  const files = new Set<string>()
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === 'siphon') return { url: API, shortCircuit: true }
      let found: ReturnType<typeof next>
      try {
        found = next(specifier, context)
      } catch (error) {
        throw missingImport(error, specifier, context.parentURL)
      }
      const url = found.url
      if (!url.startsWith('file:') || url.startsWith(OWN) || url.includes('/node_modules/')) return found
      files.add(url)
      // A script is a module wherever it lies, with or without a package.json that says so.
      if (url.endsWith('.ts')) return { ...found, format: 'module-typescript' }
      return url.endsWith('.js') ? { ...found, format: 'module' } : found
    },
  })
  return files
}

export function scriptUrl(path: string): string {
  return pathToFileURL(path).href
}
