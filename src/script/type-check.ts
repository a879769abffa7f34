import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ScriptFault } from './conversation.ts'
import { editorConfig } from './editor.ts'

const OWN = resolve(dirname(fileURLToPath(import.meta.url)), '..')
/** The compiler takes half a second. */
const LONGEST_MS = 60_000

/**
 * What the TypeScript compiler says of a script, as an editor with the `tsconfig.json` of `siphon init` would: every fault,
 * where loading stops at the first.
 *
 * @param script absolute path
 * @throws Error when the compiler is not there or cannot be run
 */
export async function typeFaults(script: string): Promise<readonly ScriptFault[]> {
  const folder = dirname(script)
  const scratch = mkdtempSync(join(tmpdir(), 'siphon-types-'))
  try {
    const project = join(scratch, 'tsconfig.json')
    writeFileSync(project, editorConfig([script]))
    return readFaults(await compile(project, folder), folder)
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

function compile(project: string, folder: string): Promise<string> {
  const compiler = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))
  return new Promise((done, failed) => {
    const options = { cwd: folder, timeout: LONGEST_MS, maxBuffer: 16 << 20 }
    execFile(process.execPath, [compiler, '--pretty', 'false', '-p', project], options, (error, out, err) => {
      // Faults make it end with 1 or 2; without any word on them it has failed itself.
      if (error !== null && !/error TS\d+/.test(out)) failed(new Error(err.trim() || error.message))
      else done(out)
    })
  })
}

/** `file(line,col): error TS2322: text`, more of the text on indented lines. */
function readFaults(output: string, folder: string): ScriptFault[] {
  const faults: { what: string; where: string | null; own: boolean }[] = []
  for (const line of output.split('\n')) {
    const told = /^(?:(.+)\((\d+),(\d+)\): )?error TS\d+: (.*)$/.exec(line)
    if (told !== null) {
      const [, file, row, column, what = ''] = told
      const path = file === undefined ? null : resolve(folder, file)
      faults.push({
        what,
        where: path === null ? null : `${relative(folder, path)}:${row}:${column}`,
        own: path?.startsWith(`${OWN}/`) === true,
      })
    } else {
      const last = faults.at(-1)
      if (last !== undefined && /^\s+\S/.test(line)) last.what += ` ${line.trim()}`
    }
  }
  return faults.filter(({ own }) => !own).map(({ what, where }) => ({ what, where }))
}
