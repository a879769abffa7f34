import { z } from 'zod'
import { isHost, text, type Kind } from './scalars.ts'

/** Texts with a meaning of their own. */

export function localDomain(): Kind<string> {
  return text('a domain name or an IP address', (value) => {
    if (/^sips?:/i.test(value)) return ['is a URI', 'write the domain alone, like example.com']
    const bare = value.startsWith('[') && value.endsWith(']') ? value.slice(1, -1) : value
    return isHost(bare)
      ? null
      : ['is neither a domain name nor an IP address', 'write the domain alone, like example.com']
  })
}

/** The path part of a URL: no query, no `//`. */
export function urlPath(): Kind<string> {
  return text('a path like /metrics', (value) =>
    /^\/[A-Za-z0-9._~/-]*$/.test(value) && !value.includes('//')
      ? null
      : ['is not a path of a URL', 'write a path like /metrics'],
  )
}

/** What RFC 6750 §2.1 lets stand after `Bearer `, a little wider: any printable ASCII but the space. Empty: no token. */
export function bearerToken(): Kind<string | null> {
  const token = text('a token', (value) =>
    /^[\x21-\x7e]+$/.test(value)
      ? null
      : ['holds a character that cannot be sent in a header field', 'write printable ASCII without spaces'],
  )
  return emptyIsNull(token)
}

export function httpUrl(): Kind<string> {
  const write = 'write a URL like https://collector.example.com/v1/cdr'
  return text('a URL', (value) => {
    if (!URL.canParse(value)) return ['is not a URL', write]
    const { protocol } = new URL(value)
    return protocol === 'http:' || protocol === 'https:' ? null : ['is not an http or https URL', write]
  })
}

function emptyIsNull(kind: Kind<string>): Kind<string | null> {
  return z
    .preprocess((value) => (value === '' ? undefined : value), kind.optional())
    .transform((v) => v ?? null)
    .meta({ ...kind.meta() })
}
