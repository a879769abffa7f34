import { suggest } from '../base/suggest.ts'
import { METHODS } from '../sip/message/methods.ts'
import type { Manifest, ScriptFault } from './conversation.ts'

/** What a script that loads most likely does not mean. It serves nevertheless. */
export function doubtsOf({ handlers }: Manifest): readonly ScriptFault[] {
  const doubts: ScriptFault[] = []
  if (!handlers.some(({ kind }) => kind === 'request' || kind === 'invite')) {
    const what = 'declares neither proxy.onRequest nor b2bua.onInvite: requests will be answered with 500'
    doubts.push({ what, where: null })
  }
  for (const { name, methods, where } of handlers) {
    for (const method of methods ?? []) {
      if (METHODS.includes(method)) continue
      const near = suggest(method, METHODS)
      const instead = near === null ? '' : `; did you mean ${near}?`
      doubts.push({ what: `${name}: ${method} is no method that an RFC defines${instead}`, where })
    }
  }
  return doubts
}
