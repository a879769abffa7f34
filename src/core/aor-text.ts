import { addressOfRecord, isSipUri, parseUri } from '../sip/message/uri.ts'

/**
 * The key of an address-of-record (`addressOfRecord`) from what people, scripts and paths of HTTP requests write:
 * with or without `sip:`, in angle brackets, percent-encoded as a whole, host in any case, with parameters or the
 * default port. Characters beyond ASCII stand for their UTF-8 bytes. Null when no user of a host can be read from it.
 */
export function aorFromText(text: string): string | null {
  return keyOf(text) ?? keyOf(decoded(text))
}

function keyOf(text: string | null): string | null {
  if (text === null) return null
  const open = text.indexOf('<')
  const close = text.indexOf('>', open)
  const bare = (open >= 0 && close > open ? text.slice(open + 1, close) : text).trim()
  const uri = parseUri(escaped(/^sips?:/i.test(bare) ? bare : `sip:${bare}`))
  return uri.ok && isSipUri(uri.value) && uri.value.user !== null ? addressOfRecord(uri.value) : null
}

function decoded(text: string): string | null {
  if (!text.includes('%')) return null
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

function escaped(text: string): string {
  // Lone surrogates have no bytes; they become U+FFFD and name nobody.
  return text.toWellFormed().replace(/[^\x20-\x7e]/gu, (character) => encodeURIComponent(character))
}
