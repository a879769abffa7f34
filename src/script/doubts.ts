import { suggest } from '../base/suggest.ts'
import { METHODS } from '../sip/message/methods.ts'
import type { Manifest, ScriptFault } from './conversation.ts'

/** Whether anybody who calls is heard: otherwise every request gets a 500. */
export function takesRequests({ handlers }: Manifest): boolean {
  return handlers.some(({ kind }) => kind === 'request' || kind === 'invite')
}

/** What a script that loads most likely does not mean. It serves nevertheless. */
export function doubtsOf(manifest: Manifest): readonly ScriptFault[] {
  const doubts: ScriptFault[] = []
  if (!takesRequests(manifest)) {
    const what = 'declares neither proxy.onRequest nor b2bua.onInvite: requests will be answered with 500'
    doubts.push({ what, where: null })
  }
  for (const { name, methods, where } of manifest.handlers) {
    for (const method of methods ?? []) {
      if (METHODS.includes(method)) continue
      const near = suggest(method, METHODS)
      const instead = near === null ? '' : `; did you mean ${near}?`
      doubts.push({ what: `${name}: ${method} is no method that an RFC defines${instead}`, where })
    }
  }
  return doubts
}
