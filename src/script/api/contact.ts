/** Where a registered user can be reached (RFC 3261 §10). */
export interface Contact {
  readonly uri: string
  /** Preference, 0 … 1 (§20.10). */
  readonly q: number
  /** Seconds until the registration ends. */
  readonly expires: number
  /** `ip:port` that the REGISTER came from. */
  readonly received: string
  readonly userAgent: string | undefined
}
