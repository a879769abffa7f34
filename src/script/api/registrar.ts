import { isSipUri, parseUri } from '../../sip/message/uri.ts'
import type { Contact } from './contact.ts'
import type { ScriptRequest } from './request.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { decodeText, encodeText } from './text.ts'
import { Verdict } from './verdict.ts'

export const registrar = {
  /**
   * Bind the contacts of a REGISTER to its address-of-record and answer it: 200 with all bindings, or the refusal that
   * RFC 3261 §10.3 names (423 with Min-Expires, 400, 503 …). All contacts are bound or none.
   */
  save(request: ScriptRequest): Verdict {
    if (request.method !== 'REGISTER') {
      throw new ScriptError(`registrar.save needs a REGISTER; this is ${request.method}`)
    }
    return new Verdict({ do: 'save' })
  },

  /**
   * Contacts of the address-of-record in `uri` that have not expired: highest q first, the newest first among equals.
   * Empty when there are none, and for a URI that is not SIP.
   */
  async lookup(uri: string): Promise<readonly Contact[]> {
    const text = encodeText(String(uri))
    const parsed = parseUri(text)
    if (!parsed.ok || !isSipUri(parsed.value)) return []
    const contacts = await services().lookup(text)
    return contacts.map((c) => ({
      uri: decodeText(c.uri),
      q: c.q,
      expires: c.expires,
      received: c.received,
      userAgent: c.userAgent === null ? undefined : decodeText(c.userAgent),
    }))
  },

  /** Whether the address-of-record in `uri` has a contact. */
  async isRegistered(uri: string): Promise<boolean> {
    return (await registrar.lookup(uri)).length > 0
  },
}
