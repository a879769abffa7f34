/** A registered contact as it is kept over a restart: plain data, times on the wall clock. Texts are binary text. */
export interface BindingRow {
  readonly id: number
  readonly aor: string
  readonly uri: string
  readonly q: number
  readonly params: string
  readonly instance: string | null
  readonly regId: number | null
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number
  readonly updatedAt: number
  readonly callId: string
  readonly cseq: number
  readonly protocol: string
  /** `ip:port` the REGISTER came from, and our end of it. */
  readonly received: string
  readonly local: string
  readonly nated: boolean
  /** One value a line; '' without a Path. */
  readonly path: string
  readonly userAgent: string | null
}

/** What became of a binding: as it is now, or that it is no more. */
export type BindingMoved =
  | { readonly what: 'put'; readonly row: BindingRow }
  | { readonly what: 'gone'; readonly id: number }
