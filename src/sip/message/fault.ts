/** What is wrong with a message, and what to answer. A peer's mistake is a value: it costs no stack trace. */
export interface Fault {
  /** The status of the answer, when one can be sent: 400, 505, 513. */
  readonly status: number
  /** One line, without a byte of the peer's in it: it goes to logs and reason phrases. */
  readonly what: string
  /** Where in the text, in characters (bytes) from its start. */
  readonly offset?: number
}

export interface Faulted {
  readonly ok: false
  readonly fault: Fault
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | Faulted

/** A syntax error: 400 (§21.4.1). */
export function malformed(what: string, offset?: number): Faulted {
  return { ok: false, fault: offset === undefined ? { status: 400, what } : { status: 400, what, offset } }
}
