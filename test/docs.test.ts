import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { main } from '../src/cli/main.ts'
import { configJsonSchema, knownKeys } from '../src/config/json-schema.ts'
import { parseConfig } from '../src/config/load.ts'
import * as api from '../src/script/api/index.ts'
import { editorConfig } from '../src/script/editor.ts'
import { createSpine } from '../src/spine/spine.ts'
import { everything } from './observe/metrics/everything.ts'

/** What the pages name must exist. Figures and claims are for the other tests. */

const root = resolve(import.meta.dirname, '..')

const pages = ['README.md', 'CHANGELOG.md', ...markdown(join(root, 'docs'))].map((name) => {
  const text = readFileSync(join(root, name), 'utf8')
  return { name, text, prose: text.replace(/```[^]*?```/g, '') }
})

function markdown(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => relative(root, join(folder, name)))
    .sort()
}

/** Blocks of a language with the page they stand on. */
function blocks(language: string): { page: string; text: string }[] {
  const fence = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g')
  return pages.flatMap(({ name, text }) =>
    [...text.matchAll(fence)].map((match) => ({ page: name, text: match[1] ?? '' })),
  )
}

/** Everything in backticks outside of blocks, with its page. */
function quoted(): { page: string; text: string }[] {
  return pages.flatMap(({ name, prose }) =>
    [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => ({ page: name, text: match[1] ?? '' })),
  )
}

/** Those that `siphon --help` lists. */
async function commands(): Promise<string[]> {
  let help = ''
  await main(['--help'], {
    out: (text) => (help += text),
    err: () => undefined,
    env: {},
    checkScript: () => Promise.resolve({ faults: [], doubts: [] }),
  })
  return [...help.matchAll(/^ {2}(\w+) /gm)].map(([, name = '']) => name)
}

function anchors(text: string): string[] {
  const headings = text.matchAll(/^#+ (.+)$/gm)
  return [...headings].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe('the pages', () => {
  it('link to what is there', () => {
    const broken: string[] = []
    for (const { name, prose } of pages) {
      for (const [, link = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(link)) continue
        const [path = '', anchor] = link.split('#')
        const target = path === '' ? join(root, name) : resolve(root, dirname(name), path)
        if (!existsSync(target)) broken.push(`${name}: ${link}`)
        else if (anchor !== undefined && !anchors(readFileSync(target, 'utf8')).includes(anchor)) {
          broken.push(`${name}: ${link} (no such heading)`)
        }
      }
    }
    assert.deepEqual(broken, [])
  })

  it('are all found from the README', () => {
    const seen = new Set<string>(['CHANGELOG.md'])
    const follow = (name: string): void => {
      if (seen.has(name)) return
      seen.add(name)
      const { prose = '' } = pages.find((page) => page.name === name) ?? {}
      for (const [, link = ''] of prose.matchAll(/\]\(([^)\s#]+)/g)) {
        const target = relative(root, resolve(root, dirname(name), link))
        if (target.endsWith('.md')) follow(target)
        else for (const page of pages) if (dirname(page.name) === target) follow(page.name)
      }
    }
    follow('README.md')
    assert.deepEqual(
      pages.map(({ name }) => name).filter((name) => !seen.has(name)),
      [],
    )
  })

  it('name files that are there', () => {
    const gone = quoted().filter(
      ({ text }) =>
        /^(src|test|docs|examples|deploy|bench|schema)\/[\w./-]+$/.test(text) &&
        !existsSync(join(root, text)),
    )
    assert.deepEqual(gone, [])
  })

  it('name npm scripts and commands that are there', async () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const names = await commands()
    const unknown: string[] = []
    for (const { name, text } of pages) {
      for (const [command, script = ''] of text.matchAll(/npm run ([\w:-]+)/g)) {
        if (!(script in scripts)) unknown.push(`${name}: ${command}`)
      }
      for (const [, command = ''] of text.matchAll(/(?:npm run siphon --|`siphon) (\w+)/g)) {
        if (!names.includes(command)) unknown.push(`${name}: siphon ${command}`)
      }
    }
    assert.deepEqual(unknown, [])
  })

  it('name metrics that are there', () => {
    const { reader } = everything()
    const names = new Set<string>()
    for (const { shape } of [...reader.families(), ...reader.pulled()]) {
      for (const suffix of ['', '_bucket', '_sum', '_count']) names.add(`${shape.name}${suffix}`)
    }
    const unknown = pages.flatMap(({ name, text }) =>
      [...text.matchAll(/\b(?:siphon|nodejs|process)_[a-z_]*[a-z]\b(?![*_/])/g)]
        .map(([metric]) => metric)
        .filter((metric) => !names.has(metric))
        .map((metric) => `${name}: ${metric}`),
    )
    assert.deepEqual(unknown, [])
  })

  it('name keys of the configuration that are there', () => {
    const tops = knownKeys([])
    const verbs = Object.entries(api).flatMap(([name, space]) =>
      Object.keys(space).map((verb) => `${name}.${verb}`),
    )
    const unknown = quoted().filter(({ text }) => {
      const key = /^([a-z_]+(?:\.[a-z_]+)+)(?:: .*)?$/.exec(text)?.[1] ?? ''
      // Not keys: names of files, and verbs of the script API.
      if (/\.(ts|jsonl)$/.test(key) || verbs.includes(key)) return false
      const path = key.split('.')
      if (!tops.includes(path[0] ?? '')) return false
      return !knownKeys(path.slice(0, -1)).includes(path.at(-1) ?? '')
    })
    assert.deepEqual(unknown, [])
  })
})

describe('code on the pages', () => {
  it('type-checks', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'siphon-docs-'))
    t.after(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'tsconfig.json'), editorConfig())
    const scripts = blocks('ts')
    assert.ok(scripts.length >= 2)
    for (const [i, { page, text }] of scripts.entries()) {
      writeFileSync(join(folder, `${page.replace(/\W/g, '-')}-${i}.ts`), text)
    }
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    assert.equal(spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout, '')
  })

  it('loads, when it is configuration', () => {
    const keys = Object.keys(configJsonSchema().properties ?? {})
    const foreign = ['livenessProbe', 'scrape_configs', 'groups']
    let loaded = 0
    for (const { page, text } of blocks('yaml')) {
      const [first = ''] = Object.keys(parse(text) as object)
      if (foreign.includes(first)) continue
      assert.ok(keys.includes(first), `${page}: ${first} is no block of siphon.yaml`)
      const whole =
        keys.includes('script') && /^script:/m.test(text) ? text : `${text}\nscript: { path: s.ts }\n`
      const result = parseConfig(page, whole, { ADMIN_TOKEN: 's3cret' })
      assert.deepEqual(result.ok ? [] : result.faults, [])
      loaded++
    }
    assert.ok(loaded >= 2)
  })

  it('is what the server gives, when it is the tsconfig.json of a script elsewhere', () => {
    const [shown] = blocks('json').filter(({ page }) => page === 'docs/handler-execution.md')
    assert.deepEqual(
      JSON.parse(shown?.text ?? ''),
      JSON.parse(editorConfig().replaceAll(root, '/path/to/siphon')),
    )
  })
})

describe('README.md', () => {
  const { text = '' } = pages.find(({ name }) => name === 'README.md') ?? {}
  /** What a script says when it uses a block that `siphon.yaml` has as a comment only. */
  const USES = { auth: ' auth.', gateway: ' gateway.', media: ' rtpengine.' }

  it('has a row for every example, and says which block of siphon.yaml it needs', () => {
    const rows = [...text.matchAll(/^\| \[`([\w-]+\.ts)`\]\(examples\/\1\) \| [^|]+ \| (?:`(\w+)` )?\|$/gm)]
    const needs = readdirSync(join(root, 'examples'))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => {
        const script = readFileSync(join(root, 'examples', name), 'utf8')
        const block = Object.entries(USES).find(([, verb]) => script.includes(verb))?.[0]
        // The head comment says it, too.
        const said = /the block `(\w+)`|block\n \* `(\w+)`/.exec(script.slice(0, script.indexOf('*/')))
        assert.equal(said?.[1] ?? said?.[2], block, name)
        return [name, block]
      })
    assert.deepEqual(rows.map(([, name = '', block]) => [name, block]).sort(), needs.sort())
  })

  it('has a row for every command', async () => {
    const names = await commands()
    const rows = [...text.matchAll(/^\| `npm run siphon -- (\w+)/gm)].map(([, name = '']) => name)
    assert.deepEqual(rows.sort(), names.filter((name) => name !== 'help').sort())
  })
})

describe('docs/deployment.md', () => {
  it('has a row for every alert of the rules, with its severity and time', () => {
    const text = readFileSync(join(root, 'docs/deployment.md'), 'utf8')
    const rows = [...text.matchAll(/^\| `(\w+)` \| (warning|critical) \| (.*) \|$/gm)].map(
      ([, alert, severity, fires = '']) => {
        const minutes = /, for (\d+) minutes?$/.exec(fires)?.[1]
        return [alert, severity, minutes === undefined ? undefined : `${minutes}m`]
      },
    )
    const { groups } = parse(readFileSync(join(root, 'deploy/prometheus/siphon.rules.yaml'), 'utf8')) as {
      groups: { rules: { alert?: string; for?: string; labels?: { severity: string } }[] }[]
    }
    const alerts = groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined)
    assert.deepEqual(
      rows,
      alerts.map((rule) => [rule.alert, rule.labels?.severity, rule.for]),
    )
  })
})

describe('docs/facts.md', () => {
  it('has a row for every channel of the spine, and for no other', () => {
    const text = readFileSync(join(root, 'docs/facts.md'), 'utf8')
    const rows = [...text.matchAll(/^\| (`\w+`(?:, `\w+`)*) \|/gm)]
    const named = rows.flatMap(([, names = '']) => names.replaceAll('`', '').split(', '))
    assert.deepEqual(named.sort(), Object.keys(createSpine(() => undefined)).sort())
  })
})

describe('the call flows of docs/b2bua.md', () => {
  const text = readFileSync(join(root, 'docs/b2bua.md'), 'utf8')
  const rows = [...text.matchAll(/^\| (RFC \d+ [\d., ]+\d)[^|]*\| (.*) \|$/gm)].map(
    ([, flow = '', shown = '']) => ({
      flow,
      shown,
    }),
  )

  it('are all that RFC 3665 §3 and RFC 5359 §2 have', () => {
    const listed = rows.flatMap(({ flow }) => {
      const [, rfc = '', sections = ''] = /^RFC (\d+) (.*)$/.exec(flow) ?? []
      return sections.split(', ').map((section) => `${rfc} ${section}`)
    })
    const numbers = (rfc: string, chapter: number, count: number): string[] =>
      Array.from({ length: count }, (_, i) => `${rfc} ${chapter}.${i + 1}`)
    assert.deepEqual(listed, [...numbers('3665', 3, 11), ...numbers('5359', 2, 18)])
  })

  it('are each shown by a test that is there, or say why they cannot', () => {
    for (const { flow, shown } of rows) {
      const tests = [...shown.matchAll(/`([\w-]+\.test\.ts)`: ([^,|`]+?)(?:,|:|\.|$)(?!\d)/g)]
      assert.ok(tests.length > 0 || /^cannot: \S/.test(shown), `${flow}: neither a test nor a reason`)
      for (const [, file = '', name = ''] of tests) {
        const source =
          readFileSync(join(root, 'test/interop', file), 'utf8') +
          readFileSync(join(root, 'test/support/call-flows.ts'), 'utf8')
        const start = new RegExp(`['"\`]${name.trim().replaceAll('.', '\\.')}|^ +${name}:`, 'm')
        assert.match(source, start, `${flow}: ${file} has no ${name}`)
      }
    }
  })
})
