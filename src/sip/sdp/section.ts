import { connectionAddress, connectionOf } from './origin.ts'

export const DIRECTIONS = ['sendrecv', 'sendonly', 'recvonly', 'inactive'] as const
export type Direction = (typeof DIRECTIONS)[number]

/** The order of the lines of a section (RFC 8866 §5); `a=` comes last. */
const ORDER = 'mvosiuepcbtrzka'

/** Lines that belong together: those of the session, or of one medium. Each keeps its line end. */
export class Section {
  protected lines: string[]
  readonly #eol: string

  constructor(lines: readonly string[], eol: string) {
    this.lines = [...lines]
    this.#eol = eol
  }

  /** The value of the first line of a type (`c`, `s` …); undefined when there is none. */
  get(type: string): string | undefined {
    const line = this.lines.find((l) => l.startsWith(`${type}=`))
    return line === undefined ? undefined : valueOf(line)
  }

  /** Replaces the value of the first line of a type, or puts the line where it belongs. */
  set(type: string, value: string): void {
    const at = this.lines.findIndex((l) => l.startsWith(`${type}=`))
    if (at >= 0) this.#replace(at, `${type}=${value}`)
    else this.#insert(this.#placeOf(type), `${type}=${value}`)
  }

  /** `a=` lines in order: `name` or `name:value`. */
  get attributes(): readonly string[] {
    return this.lines.filter((l) => l.startsWith('a=')).map(valueOf)
  }

  /** The value of the first attribute of a name; '' when it has none, undefined when it is not there. */
  attribute(name: string): string | undefined {
    const found = this.lines.find((l) => isAttribute(l, name))
    return found === undefined ? undefined : valueOf(found).slice(name.length + 1)
  }

  attributesOf(name: string): string[] {
    return this.lines.filter((l) => isAttribute(l, name)).map((l) => valueOf(l).slice(name.length + 1))
  }

  /** Leaves exactly one attribute of this name, where the first one was or at the end. Null: one without value. */
  setAttribute(name: string, value: string | null): void {
    const text = value === null ? `a=${name}` : `a=${name}:${value}`
    const at = this.lines.findIndex((l) => isAttribute(l, name))
    if (at < 0) {
      this.#insert(this.lines.length, text)
      return
    }
    this.#replace(at, text)
    this.lines = this.lines.filter((l, i) => i <= at || !isAttribute(l, name))
  }

  addAttribute(name: string, value: string | null): void {
    this.#insert(this.lines.length, value === null ? `a=${name}` : `a=${name}:${value}`)
  }

  /** Removes the attributes of this name for which `which` holds; tells how many. */
  removeAttribute(name: string, which: (value: string) => boolean = () => true): number {
    const before = this.lines.length
    this.lines = this.lines.filter((l) => !isAttribute(l, name) || !which(valueOf(l).slice(name.length + 1)))
    return before - this.lines.length
  }

  /** The address of the `c=` line; undefined without one. */
  get connection(): string | undefined {
    return connectionAddress(this.get('c'))
  }

  set connection(address: string) {
    this.set('c', connectionOf(address))
  }

  /** The first that is said; undefined when the section says nothing of it. */
  get direction(): Direction | undefined {
    const line = this.lines.find(isDirection)
    return line === undefined ? undefined : DIRECTIONS.find((d) => isAttribute(line, d))
  }

  set direction(direction: Direction) {
    const at = this.lines.findIndex(isDirection)
    if (at < 0) this.addAttribute(direction, null)
    else {
      this.#replace(at, `a=${direction}`)
      this.lines = this.lines.filter((l, i) => i <= at || !isDirection(l))
    }
  }

  toString(): string {
    return this.lines.join('')
  }

  /** A new text for a line, with its own end. */
  #replace(at: number, text: string): void {
    const line = this.lines[at] ?? ''
    this.lines[at] = text + line.slice(line.length - (/\r?\n$/.exec(line)?.[0].length ?? 0))
  }

  #insert(at: number, text: string): void {
    const before = this.lines[at - 1]
    // The text may have ended without a line end.
    if (before !== undefined && !before.endsWith('\n')) this.lines[at - 1] = before + this.#eol
    this.lines.splice(at, 0, text + this.#eol)
  }

  /** After the last line that comes before this type. */
  #placeOf(type: string): number {
    const rank = ORDER.indexOf(type)
    const at = this.lines.findLastIndex((l) => l[1] === '=' && ORDER.indexOf(l[0] ?? '') <= rank)
    return at + 1
  }
}

function valueOf(line: string): string {
  return line.slice(2).replace(/\r?\n$/, '')
}

function isDirection(line: string): boolean {
  return /^a=(?:sendrecv|sendonly|recvonly|inactive)(?:[:\r\n]|$)/.test(line)
}

function isAttribute(line: string, name: string): boolean {
  if (!line.startsWith('a=') || !line.startsWith(name, 2)) return false
  const next = line[2 + name.length]
  return next === undefined || next === ':' || next === '\r' || next === '\n'
}
