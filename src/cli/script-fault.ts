import { dirname, resolve } from 'node:path'
import type { ConfigFault } from '../config/fault.ts'
import type { ScriptFault } from '../script/conversation.ts'

/** A script's fault as `check` and `run` print it. `where` names files from the script's folder on. */
export function scriptFault(script: string, { what, where }: ScriptFault): ConfigFault {
  const place = /^(.*):(\d+):(\d+)$/.exec(where ?? '')
  const [, file = script, line = '1', column = '1'] = place ?? []
  return {
    file: resolve(dirname(script), file),
    line: Number(line),
    column: Number(column),
    path: '',
    what,
    instead: '',
  }
}
