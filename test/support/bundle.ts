import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from './programs.ts'

/** Modules that node has itself, or that have another face in a browser. */
const BROWSER: Readonly<Record<string, string>> = {
  events: join(root, 'node_modules/events/events.js'),
  debug: join(root, 'node_modules/debug/src/browser.js'),
}

/** One script for a page out of a CommonJS module and all that it requires; `name` is the global it becomes. */
export function bundle(module: string, name: string): string {
  const ids = new Map<string, number>()
  const parts: string[] = []
  const add = (file: string): number => {
    const known = ids.get(file)
    if (known !== undefined) return known
    const id = ids.size
    ids.set(file, id)
    const resolve = createRequire(file)
    const text = file.endsWith('.json')
      ? `module.exports = ${readFileSync(file, 'utf8')}`
      : readFileSync(file, 'utf8').replace(
          /\brequire\((['"])([^'"]+)\1\)/g,
          (_all, _quote, wanted: string) => {
            return `require(${add(BROWSER[wanted] ?? resolve.resolve(wanted))})`
          },
        )
    parts.push(`${id}: (module, exports, require) => {\n${text}\n}`)
    return id
  }
  const first = add(createRequire(join(root, 'package.json')).resolve(module))
  return `(() => {
    const modules = {${parts.join(',\n')}}
    const loaded = {}
    const process = { env: {} }
    const require = (id) => {
      if (loaded[id] === undefined) {
        loaded[id] = { exports: {} }
        modules[id](loaded[id], loaded[id].exports, require)
      }
      return loaded[id].exports
    }
    window.${name} = require(${first})
  })()`
}
