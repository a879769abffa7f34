/** Finds the names of scanners in the User-Agent of a message that nobody has parsed. */
export class ScannerNames {
  readonly #names: RegExp

  /** @param names pieces of a User-Agent, in any case; at least one */
  constructor(names: readonly string[]) {
    this.#names = new RegExp(
      names.map((name) => name.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'),
      'i',
    )
  }

  /** As RFC 3261 §7.3 lets a field be written: name in any case, spaces before the colon, the value on a folded line. */
  in(message: Buffer): boolean {
    const value = USER_AGENT.exec(message.toString('latin1', 0, MOST_BYTES))?.[1]
    return value !== undefined && this.#names.test(value)
  }
}

const USER_AGENT = /\nuser-agent[ \t]*:((?:[^\r\n]|\r\n[ \t])*)/i
/** The head of anything a scanner sends is shorter. */
const MOST_BYTES = 8_192
