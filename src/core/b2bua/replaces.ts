import type { Request } from '../../sip/message/message.ts'
import { parseNameAddr } from '../../sip/message/name-addr.ts'

/** The Replaces that a Refer-To asks to be put into the new INVITE (RFC 3891 §3), unescaped; null: none. */
export function replacesIn(refer: Request): string | null {
  const target = parseNameAddr(refer.headers.first('refer-to') ?? '')
  const escaped = target.ok ? /[?&]replaces=([^&]*)/i.exec(target.value.uri)?.[1] : undefined
  if (escaped === undefined) return null
  try {
    return decodeURIComponent(escaped)
  } catch {
    return null
  }
}

/** What a Replaces says: a dialog as the one who gets it sees it (RFC 3891 §6.1). '' where it does not say. */
export function readReplaces(text: string): {
  readonly callId: string
  readonly to: string
  readonly from: string
  readonly earlyOnly: boolean
} {
  const [callId = '', ...params] = text.split(';').map((part) => part.trim())
  const tag = (name: string): string =>
    params.find((p) => p.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1) ?? ''
  const earlyOnly = params.some((p) => p.toLowerCase() === 'early-only')
  return { callId, to: tag('to-tag'), from: tag('from-tag'), earlyOnly }
}
