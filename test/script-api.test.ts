import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'
import { ScriptCall } from '../src/script/api/call.ts'
import { Destination } from '../src/script/api/destination.ts'
import * as api from '../src/script/api/index.ts'
import { InboundView } from '../src/script/api/inbound-view.ts'
import { MessageView } from '../src/script/api/message-view.ts'
import { Reply } from '../src/script/api/reply.ts'
import { ScriptRequest } from '../src/script/api/request.ts'

/** docs/script-api.md names what scripts have, all of it and nothing else. */

const root = resolve(import.meta.dirname, '..')
const page = readFileSync(resolve(root, 'docs/script-api.md'), 'utf8')

/** The rows under a heading, a list of cells each. */
function rows(heading: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('| `'))
  return lines.map((line) => line.slice(2, -2).split(' | '))
}

/** `name` and `name(arguments)`, as they stand in a cell. */
function names(cell: string): string[] {
  return [...cell.matchAll(/`(\w+)(?:\([^`]*\))?`/g)].map(([, name = '']) => name)
}

/** Members whose doc comment says that they are none of a script's business. */
function internal(file: string): string[] {
  const text = readFileSync(resolve(root, 'src/script/api', file), 'utf8')
  const marked =
    /\/\*\* @internal(?:(?!\*\/)[^])*\*\/\s*(?:(?:protected|override|readonly|get|set)\s+)*(\w+)/g
  return [...text.matchAll(marked)].map(([, name = '']) => name)
}

describe('docs/script-api.md', () => {
  const classes = [
    ['Every message', MessageView, 'message-view.ts'],
    ['Every request and call', InboundView, 'inbound-view.ts'],
    ['`request`', ScriptRequest, 'request.ts'],
    ['`reply`', Reply, 'reply.ts'],
    ['`call`', ScriptCall, 'call.ts'],
    ['Destinations', Destination, 'destination.ts'],
  ] as const
  for (const [heading, { prototype }, file] of classes) {
    it(`has every member under ${heading}`, () => {
      const hidden = new Set([...internal(file), 'constructor'])
      const members = Object.getOwnPropertyNames(prototype).filter((name) => !hidden.has(name))
      assert.deepEqual(
        rows(heading)
          .flatMap(([cell = '']) => names(cell))
          .sort(),
        members.sort(),
      )
    })
  }

  it('has every member under Contacts', () => {
    const text = readFileSync(resolve(root, 'src/script/api/contact.ts'), 'utf8')
    const hidden = internal('contact.ts')
    const members = [...text.matchAll(/^ {2}readonly (\w+):/gm)].map(([, name = '']) => name)
    assert.deepEqual(
      rows('Contacts')
        .flatMap(([cell = '']) => names(cell))
        .sort(),
      members.filter((name) => !hidden.includes(name)).sort(),
    )
  })

  it('has every verb of every other name', () => {
    const shown = rows('The other names').map(([name = '', verbs = '']) => [
      names(name)[0],
      names(verbs).sort(),
    ])
    const { ScriptError, ...spaces } = api
    const there = Object.entries(spaces).map(([name, verbs]) => [name, Object.keys(verbs).sort()])
    assert.deepEqual(Object.fromEntries(shown), Object.fromEntries(there))
    assert.ok(page.includes(ScriptError.name))
  })

  it('has every handler that proxy and timer declare', () => {
    const declared = rows('Handlers').flatMap(([cell = '']) => /^`([\w.]+)/.exec(cell)?.[1] ?? [])
    const wanted = Object.keys(api.proxy).filter((verb) => verb.startsWith('on'))
    assert.deepEqual(declared, [...wanted.map((verb) => `proxy.${verb}`), 'b2bua.onInvite', 'timer.every'])
  })
})
