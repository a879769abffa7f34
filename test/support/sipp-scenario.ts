import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * sipp scenarios from their steps, so that a call flow reads as the flow and not as headers. Each function gives the XML
 * of one step; `scenarioFile` puts them into a file that `runCaller` and `startCallee` take.
 */

const sdp = (port: string): string => `v=0
o=user1 53655765 [call_number] IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio ${port} RTP/AVP 0
a=rtpmap:0 PCMU/8000
`

export const OWN_CONTACT = 'Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>'

export function scenarioFile(name: string, steps: readonly string[]): string {
  const path = join(mkdtempSync(join(tmpdir(), 'sipp-')), `${name}.xml`)
  const xml = `<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="${name}">\n${steps.join('\n')}\n</scenario>\n`
  writeFileSync(path, xml, 'latin1')
  return path
}

export interface SendOptions {
  readonly headers?: readonly string[]
  /** An offer or an answer is sent along; with this media port where it matters. */
  readonly sdp?: boolean | string
  /** Of the dialog: to the remote target, along the route set. */
  readonly inDialog?: boolean
  /** Of the Request-URI; the service at the server unless told. */
  readonly uri?: string
  readonly from?: string
  readonly to?: string
  /** Repeated until something comes back (UDP). Default: yes, but for ACK. */
  readonly repeat?: boolean
  /** Without the Contact of the user agent itself: the headers name others, or none. */
  readonly noContact?: boolean
  /** An attribute of the step, like `start_rtd="1"`. */
  readonly attributes?: string
}

/** A request of the caller's; the callee's in-dialog requests are `sendBack`. */
export function send(method: string, cseq: number, options: SendOptions = {}): string {
  const { inDialog = false, uri = 'sip:[service]@[remote_ip]:[remote_port]' } = options
  const from = options.from ?? '<sip:sipp@[local_ip]:[local_port]>'
  const to = options.to ?? `<${uri}>`
  return step(
    [
      `${method} ${inDialog ? '[next_url]' : uri} SIP/2.0`,
      via(cseq, method === 'ACK' ? 'ACK2xx' : method),
      ...(inDialog ? ['[routes]'] : []),
      `From: ${from};tag=[pid]SIPpTag00[call_number]`,
      inDialog ? '[last_To:]' : `To: ${to}`,
      'Call-ID: [call_id]',
      `CSeq: ${cseq} ${method}`,
      'Max-Forwards: 70',
      ...(options.noContact === true ? [] : [OWN_CONTACT]),
      ...(options.headers ?? []),
    ],
    options,
    method !== 'ACK',
  )
}

/** The ACK of a refusal, or a CANCEL: on the INVITE's own branch (§9.1, §17.1.1.3). */
export function sendOnBranch(method: 'ACK' | 'CANCEL', cseq: number, uri?: string): string {
  return step(
    [
      `${method} ${uri ?? 'sip:[service]@[remote_ip]:[remote_port]'} SIP/2.0`,
      via(cseq, 'INVITE'),
      'From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]',
      method === 'CANCEL' ? `To: <${uri ?? 'sip:[service]@[remote_ip]:[remote_port]'}>` : '[last_To:]',
      'Call-ID: [call_id]',
      `CSeq: ${cseq} ${method}`,
      'Max-Forwards: 70',
    ],
    {},
    method === 'CANCEL',
  )
}

/** A request of the callee's within the dialog. The step that received the INVITE must have `keepCaller` as its action. */
export function sendBack(method: string, cseq: number, options: SendOptions = {}): string {
  return step(
    [
      `${method} [next_url] SIP/2.0`,
      via(cseq, method === 'ACK' ? 'ACK2xx' : `${method}-back`),
      '[routes]',
      'From: <sip:[service]@[remote_ip]:[remote_port]>;tag=[pid]SIPpTag01[call_number]',
      'To: [$caller]',
      'Call-ID: [call_id]',
      `CSeq: ${cseq} ${method}`,
      'Max-Forwards: 70',
      OWN_CONTACT,
      ...(options.headers ?? []),
    ],
    options,
    method !== 'ACK',
  )
}

/** Keeps the caller's From, which is the To of `sendBack`. */
export const keepCaller = '<ereg regexp="&lt;sip:.*" search_in="hdr" header="From:" assign_to="caller"/>'

/** The callee's response to the last request. */
export function respond(status: string, options: SendOptions & { readonly tag?: boolean } = {}): string {
  const code = Number(status.slice(0, 3))
  const tag = options.tag ?? code > 100
  return step(
    [
      `SIP/2.0 ${status}`,
      '[last_Via:]',
      '[last_From:]',
      tag ? '[last_To:];tag=[pid]SIPpTag01[call_number]' : '[last_To:]',
      '[last_Call-ID:]',
      '[last_CSeq:]',
      '[last_Record-Route:]',
      OWN_CONTACT,
      ...(options.headers ?? []),
    ],
    options,
    false,
  )
}

export function recv(
  what: number | string,
  options: { readonly optional?: boolean; readonly attributes?: string; readonly action?: string } = {},
): string {
  const which = typeof what === 'number' ? `response="${what}"` : `request="${what}"`
  const optional = options.optional === true ? ' optional="true"' : ''
  const attributes = options.attributes === undefined ? '' : ` ${options.attributes}`
  if (options.action === undefined) return `  <recv ${which}${optional}${attributes}/>`
  return `  <recv ${which}${optional}${attributes}><action>${options.action}</action></recv>`
}

/** The call fails unless the last message has a match in it. */
export function expect(pattern: string): string {
  return `<ereg regexp="${pattern}" search_in="msg" check_it="true" assign_to="unused"/><log message="[$unused]"/>`
}

export const pause = (ms: number): string => `  <pause milliseconds="${ms}"/>`

/** The branch tells the transaction, so that an ACK or a CANCEL can name the INVITE's. */
const via = (cseq: number, transaction: string): string =>
  `Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bKsipp[pid]-[call_number]-${cseq}-${transaction}`

function step(lines: readonly string[], options: SendOptions, repeated: boolean): string {
  const retrans = (options.repeat ?? repeated) ? ' retrans="500"' : ''
  const attributes = options.attributes === undefined ? '' : ` ${options.attributes}`
  const body =
    options.sdp !== undefined && options.sdp !== false
      ? [
          'Content-Type: application/sdp',
          'Content-Length: [len]',
          '',
          sdp(options.sdp === true ? '6000' : options.sdp),
        ]
      : ['Content-Length: 0', '', '']
  return `  <send${retrans}${attributes}><![CDATA[\n${[...lines, ...body].join('\n')}\n]]></send>`
}
