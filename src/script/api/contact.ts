/** Where a registered user can be reached (RFC 3261 §10). */
export interface Contact {
  readonly uri: string
  /** Preference, 0 … 1 (§20.10). */
  readonly q: number
  /** Seconds until the registration ends. */
  readonly expires: number
  /** Seconds since it was made or last refreshed. */
  readonly ageSecs: number
  /** `ip:port` that the REGISTER came from. */
  readonly received: string
  readonly userAgent: string | undefined
  /** The Route values by which it is reached, the first one on top (RFC 3327); empty when there are none. */
  readonly path: readonly string[]
  /** Its device, `urn:uuid:…` (RFC 5626 §4.1). */
  readonly instance: string | undefined
  /** The flow among those of its device (RFC 5626 §4.2.1). */
  readonly regId: number | undefined
  /** @internal By which the engine finds the flow and the Path again. */
  readonly reference: string
}
