import type { Identifiers } from '../../src/base/identifiers.ts'

/** Identifiers that count, so that a ladder or a message can be compared as text. */
export function countingIdentifiers(prefix = ''): Identifiers {
  let branches = 0
  let tags = 0
  let calls = 0
  let records = 0
  return {
    branch: () => `z9hG4bK${prefix}${++branches}`,
    tag: () => `${prefix}tag${++tags}`,
    callId: () => `${prefix}call${++calls}`,
    recordId: () => `${prefix}record${++records}`,
  }
}
