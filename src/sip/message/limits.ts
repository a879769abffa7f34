/** What a message may cost. All in bytes, which are characters of binary text. Excess is answered with 513 (§21.5.14). */
export interface Limits {
  /** Start line, header fields and body. 65,535: the largest UDP datagram. */
  readonly maxMessageBytes: number
  /** Start line and header fields. */
  readonly maxHeaderBytes: number
  /** One header field with its folds. */
  readonly maxFieldBytes: number
  /** Header fields, each value of a Via or Route list counted. */
  readonly maxFields: number
}

export const defaultLimits: Limits = {
  maxMessageBytes: 65_535,
  maxHeaderBytes: 32_768,
  maxFieldBytes: 16_384,
  maxFields: 256,
}
