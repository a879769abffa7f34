/**
 * RFC 3326 §3.1: what a CANCEL says to whoever rang beside the one that answered, so that a phone shows no missed call.
 * As header fields of a CANCEL.
 */
export const COMPLETED_ELSEWHERE: readonly (readonly [name: string, value: string])[] = [
  ['Reason', 'SIP;cause=200;text="Call completed elsewhere"'],
]
