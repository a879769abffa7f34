import type { Verdict as CoreVerdict } from '../../core/verdict.ts'

/**
 * What a handler decided. Handlers get verdicts from `request.relay()`, `request.reply()`, `registrar.save()` … and must
 * return one; nothing happens until they do. There is no other way to make one.
 */
export class Verdict {
  readonly #value: CoreVerdict | null

  /** @internal Null: the next matching handler decides. */
  constructor(value: CoreVerdict | null) {
    this.#value = value
  }

  /** @internal Undefined: not a verdict. */
  static valueOf(thing: unknown): CoreVerdict | null | undefined {
    return typeof thing === 'object' && thing !== null && #value in thing ? thing.#value : undefined
  }
}
