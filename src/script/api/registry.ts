import type { HandlerInfo, Manifest, RunKind, TimerInfo } from '../conversation.ts'
import { ScriptError } from './script-error.ts'
import { callSite } from '../where.ts'

/** What runs when a handler is called; its arguments depend on the kind. */
export type AnyHandler = (...args: never[]) => unknown

/** What the script of this thread declared while it loaded. One a thread, as there is one script a thread. */
class Registry {
  readonly handlers: { readonly info: HandlerInfo; readonly run: AnyHandler }[] = []
  readonly timers: TimerInfo[] = []
  #sealed = false

  /** The script has loaded: handlers run, and the engine can be asked. */
  get sealed(): boolean {
    return this.#sealed
  }

  /** @param name as in `onRequest(INVITE)` */
  add(kind: RunKind, methods: readonly string[] | null, name: string, run: AnyHandler): number {
    if (this.#sealed)
      throw new ScriptError(`${name} must be declared while the script loads, not inside a handler`)
    if (typeof run !== 'function') throw new ScriptError(`${name} needs a function`)
    return this.handlers.push({ info: { kind, methods, name, where: callSite() }, run }) - 1
  }

  /** After loading: nothing more can be declared, because every worker must have declared the same. */
  seal(): Manifest {
    this.#sealed = true
    return { handlers: this.handlers.map((h) => h.info), timers: this.timers }
  }
}

export const registry = new Registry()
