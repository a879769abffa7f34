/** The body of a reg-event NOTIFY: application/reginfo+xml, RFC 3680 §5. Pure text, binary text in and out. */

export type ContactEvent = 'registered' | 'created' | 'refreshed' | 'expired' | 'deactivated' | 'unregistered'

export interface ReginfoContact {
  readonly id: number
  readonly uri: string
  readonly active: boolean
  readonly event: ContactEvent
  /** Seconds; of active contacts only. */
  readonly expires: number
  /** Seconds since it was registered. */
  readonly duration: number
  readonly q: number
  readonly callId: string
  readonly cseq: number
  /** `urn:uuid:…`, for the public GRUU of RFC 5628; null without. */
  readonly gruu: string | null
}

export interface Reginfo {
  readonly aor: string
  /** Counts the documents of a subscription, from 0 (§5.1). */
  readonly version: number
  /** Full: every contact there is. Partial: those that changed. */
  readonly state: 'full' | 'partial'
  /** §3.3: `init` before any contact, `terminated` after the last. */
  readonly registration: 'init' | 'active' | 'terminated'
  readonly contacts: readonly ReginfoContact[]
}

export function reginfoBody({ aor, version, state, registration, contacts }: Reginfo): string {
  const lines = [
    '<?xml version="1.0"?>',
    `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" xmlns:gr="urn:ietf:params:xml:ns:gruuinfo" version="${version}" state="${state}">`,
    `  <registration aor="${attribute(aor)}" id="r1" state="${registration}">`,
    ...contacts.flatMap(contactLines),
    '  </registration>',
    '</reginfo>',
    '',
  ]
  return lines.join('\n')
}

function contactLines(contact: ReginfoContact): string[] {
  const { id, uri, active, event, expires, duration, q, callId, cseq, gruu } = contact
  const life = active ? ` expires="${expires}" duration-registered="${duration}"` : ''
  return [
    `    <contact id="c${id}" state="${active ? 'active' : 'terminated'}" event="${event}"${life} q="${q}" callid="${attribute(callId)}" cseq="${cseq}">`,
    `      <uri>${attribute(uri)}</uri>`,
    ...(gruu === null ? [] : [`      <gr:pub-gruu uri="${attribute(gruu)}"/>`]),
    '    </contact>',
  ]
}

/**
 * Text inside quotes or elements. XML can hold no control characters at all, and the document is UTF-8: bytes beyond ASCII
 * that are not are replaced, so that one odd phone spoils no document.
 */
function attribute(text: string): string {
  return (
    utf8(text)
      // oxlint-disable-next-line no-control-regex
      .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, '?')
      .replace(/[&<>"]/g, (c) => ENTITIES[c] ?? c)
  )
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
}

const WELL_FORMED =
  // oxlint-disable-next-line no-control-regex
  /^(?:[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*$/

function utf8(text: string): string {
  return WELL_FORMED.test(text) ? text : text.replace(/[\x80-\xff]/g, '?')
}
