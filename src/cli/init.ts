import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { editorConfig } from '../script/editor.ts'
import { EXIT } from './exit-codes.ts'
import type { Terminal } from './main.ts'

const SCHEMA = fileURLToPath(new URL('../../schema/siphon.schema.json', import.meta.url))

const CONFIG = `# yaml-language-server: $schema=${SCHEMA}
# Every key, its range and its default: docs/configuration.md of SIPhon.
listen:
  udp: ["127.0.0.1:5060"]
  tcp: ["127.0.0.1:5060"]

domain:
  local: ["example.com", "127.0.0.1"]

script:
  path: "script.ts"

metrics:
  prometheus:
    listen: "127.0.0.1:9464"

admin:
  listen: "127.0.0.1:9465"

cdr:
  enabled: true
  file:
    path: "cdr.jsonl"

# tracing:
#   hep:
#     endpoint: "127.0.0.1:9060"
`

const SCRIPT = `import { cdr, metrics, proxy, registrar } from 'siphon'

const routed = metrics.counter('calls_routed_total', 'Calls routed, by what was found', { labels: ['result'] })

proxy.onRequest(async (request) => {
  if (request.method === 'REGISTER') return registrar.save(request)
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404, 'Not Here')

  const contacts = await registrar.lookup(request.ruri)
  if (request.method === 'INVITE') {
    routed.labels({ result: contacts.length > 0 ? 'found' : 'not_found' }).inc()
    cdr.write(request, { extra: { branches: contacts.length } })
    request.recordRoute()
  }
  return contacts.length > 0 ? request.fork(contacts) : request.reply(404, 'Not Found')
})
`

/** `siphon init`: the files of a project of one's own. Writes all of them, or none when one is there already. */
export function initCommand(folder: string, terminal: Pick<Terminal, 'out' | 'err'>): number {
  const files = { 'siphon.yaml': CONFIG, 'script.ts': SCRIPT, 'tsconfig.json': editorConfig() }
  const names = Object.keys(files)
  const there = names.filter((name) => existsSync(join(folder, name)))
  if (there.length > 0) {
    terminal.err(`siphon: ${there.join(', ')} in ${folder}: there already, nothing was written\n`)
    return EXIT.failure
  }
  try {
    mkdirSync(folder, { recursive: true })
    // 'wx': somebody may write one of them meanwhile.
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { flag: 'wx' })
  } catch (error) {
    terminal.err(`siphon: ${error instanceof Error ? error.message : String(error)}\n`)
    return EXIT.failure
  }
  const config = join(folder, 'siphon.yaml')
  terminal.out(`Wrote ${names.join(', ')} to ${folder}. Now: npm run siphon -- run -c ${shellWord(config)}\n`)
  return EXIT.ok
}

/** As one writes it on a command line. */
function shellWord(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
