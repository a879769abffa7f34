import type { Identifiers } from '../../base/identifiers.ts'
import { HeaderFields } from '../../sip/message/header-fields.ts'
import { Request } from '../../sip/message/message.ts'
import { formatNameAddr, parseNameAddr } from '../../sip/message/name-addr.ts'

/**
 * The dialog of a subscription as its notifier sees it: RFC 3261 §12.1.1 (the side that was called) and §12.2.1 for the
 * NOTIFYs it sends. A value: requests change it in place, and it does nothing by itself.
 */
export interface NotifierDialog {
  readonly callId: string
  /** Our To tag in the answer to the SUBSCRIBE. */
  readonly localTag: string
  readonly remoteTag: string
  /** From of our requests, with our tag; and To, with theirs. */
  readonly from: string
  readonly to: string
  /** §12.1.1: the Record-Route values in their order. */
  readonly routes: readonly string[]
  /** The Contact of the last SUBSCRIBE: a target refresh request (RFC 6665 §4.4.1). */
  remoteTarget: string
  localCseq: number
  remoteCseq: number
}

/** Begins the dialog of a SUBSCRIBE; null when it has no Contact that could be answered to (§12.1.1). */
export function beginDialog(
  subscribe: Request,
  localTag: string,
  keep: (text: string) => string,
): NotifierDialog | null {
  const remoteTarget = contactOf(subscribe)
  if (remoteTarget === null) return null
  const to = subscribe.to.params.clone()
  to.set('tag', localTag)
  return {
    callId: keep(subscribe.callId),
    localTag,
    remoteTag: keep(subscribe.fromTag ?? ''),
    from: keep(formatNameAddr({ ...subscribe.to, params: to })),
    to: keep(subscribe.headers.first('from') ?? ''),
    routes: subscribe.headers.all('record-route').map(keep),
    remoteTarget: keep(remoteTarget),
    localCseq: 0,
    remoteCseq: subscribe.cseq.number,
  }
}

/** The URI of its only Contact. */
export function contactOf(request: Request): string | null {
  const values = request.headers.all('contact')
  const contact = values.length === 1 ? parseNameAddr(values[0] ?? '') : null
  return contact?.ok ? contact.value.uri : null
}

/** By what a request of the dialog is known to us (§12.2.2). */
export function dialogKey(callId: string, localTag: string, remoteTag: string): string {
  return `${callId}\n${localTag}\n${remoteTag}`
}

export interface InDialogOptions {
  readonly identifiers: Identifiers
  /** Our Via's transport and sent-by: `UDP 192.0.2.1:5060`. */
  readonly via: string
  /** Our Contact, in angle brackets. */
  readonly contact: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  readonly contentType: string
}

/** The next request of ours in the dialog (§12.2.1.1), its Via on top; and where it goes first. */
export function nextRequest(
  dialog: NotifierDialog,
  method: string,
  options: InDialogOptions,
): { readonly request: Request; readonly nextHop: string } {
  const headers = new HeaderFields()
  headers.append('Via', `SIP/2.0/${options.via};branch=${options.identifiers.branch()};rport`)
  headers.append('Max-Forwards', '70')
  const { uri, routes, nextHop } = routed(dialog)
  for (const route of routes) headers.append('Route', route)
  headers.append('From', dialog.from)
  headers.append('To', dialog.to)
  headers.append('Call-ID', dialog.callId)
  headers.append('CSeq', `${++dialog.localCseq} ${method}`)
  headers.append('Contact', options.contact)
  for (const [name, value] of options.headers) headers.append(name, value)
  if (options.body !== '') headers.append('Content-Type', options.contentType)
  return { request: new Request(method, uri, headers, options.body), nextHop }
}

/** §12.2.1.1: a first route without lr is a strict router, which wants its own URI as Request-URI and ours last. */
function routed({ routes, remoteTarget }: NotifierDialog): {
  readonly uri: string
  readonly routes: readonly string[]
  readonly nextHop: string
} {
  const [first, ...rest] = routes
  const top = first === undefined ? null : parseNameAddr(first)
  if (first === undefined || top === null || !top.ok)
    return { uri: remoteTarget, routes, nextHop: remoteTarget }
  const { uri } = top.value
  if (/;lr(?=[;=>?]|$)/i.test(uri)) return { uri: remoteTarget, routes, nextHop: uri }
  return { uri, routes: [...rest, `<${remoteTarget}>`], nextHop: uri }
}
