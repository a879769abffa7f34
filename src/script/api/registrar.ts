import { isSipUri, parseUri } from '../../sip/message/uri.ts'
import type { ContactView } from '../../core/verdict.ts'
import { readContacts } from '../message-codec.ts'
import type { Contact } from './contact.ts'
import type { ScriptRequest } from './request.ts'
import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { decodeText, encodeText } from './text.ts'
import { Verdict } from './verdict.ts'

export interface SaveOptions {
  /** The contacts of this REGISTER take the place of all others of the user. Default false: they are added. */
  readonly force?: boolean
}

export const registrar = {
  /**
   * Bind the contacts of a REGISTER to its address-of-record and answer it: 200 with all bindings, or the refusal that
   * RFC 3261 §10.3 and its extensions name (423 with Min-Expires, 400, 420, 439 …). All contacts are bound or none.
   */
  save(request: ScriptRequest, options: SaveOptions = {}): Verdict {
    if (request.method !== 'REGISTER') {
      throw new ScriptError(`registrar.save needs a REGISTER; this is ${request.method}`)
    }
    const force = options.force === true ? { force: true } : {}
    const nated = request.natedContacts ? { nated: true } : {}
    return new Verdict({ do: 'save', ...force, ...nated })
  },

  /**
   * Contacts of the address-of-record in `uri` that have not expired: highest q first, the newest first among equals.
   * Of a GRUU (RFC 5627) those of its device alone. Empty when there are none, and for a URI that is not SIP.
   */
  async lookup(uri: string): Promise<readonly Contact[]> {
    const text = encodeText(String(uri))
    const parsed = parseUri(text)
    if (!parsed.ok || !isSipUri(parsed.value)) return []
    return (await services().lookup(text)).map(contactOf)
  },

  /** The registration of exactly this contact URI, whoever's; the newest when several have it. */
  async lookupContact(contactUri: string): Promise<Contact | undefined> {
    const found = await services().call('registrar.lookupContact', encodeText(String(contactUri)))
    const [contact] = readContacts(found, found.number())
    return contact === undefined ? undefined : contactOf(contact)
  },

  /** Whether the address-of-record in `uri` has a contact. */
  async isRegistered(uri: string): Promise<boolean> {
    return (await registrar.lookup(uri)).length > 0
  },

  /** What to answer when `lookup` finds nobody: 480 for a GRUU whose device has gone (RFC 5627 §5.4), else 404; 200 when it does. */
  async status(uri: string): Promise<200 | 404 | 480> {
    const answer = await services().call('registrar.status', encodeText(String(uri)))
    const status = answer.number()
    return status === 200 || status === 480 ? status : 404
  },

  /**
   * Ends the registrations of an address-of-record, as the admin API does: who is subscribed to them is told, and
   * connections stay, with the calls on them. False when there were none.
   */
  async unregister(aor: string): Promise<boolean> {
    return (await services().call('registrar.unregister', encodeText(String(aor)))).number() === 1
  },

  /** Addresses-of-record with at least one contact. */
  async count(): Promise<number> {
    return (await services().call('registrar.count')).number()
  },

  /**
   * Accept a SUBSCRIBE to the registrations of a user of ours (event package `reg`, RFC 3680): SIPhon answers it, sends
   * the NOTIFYs, and answers its refreshes without asking again. 489 for another package, 404 for a user of another
   * domain, 503 when there are too many. Who may watch whom is for the script to decide before.
   */
  subscribe(request: ScriptRequest): Verdict {
    if (request.method !== 'SUBSCRIBE') {
      throw new ScriptError(`registrar.subscribe needs a SUBSCRIBE; this is ${request.method}`)
    }
    return new Verdict({ do: 'subscribe' })
  },
}

function contactOf(view: ContactView): Contact {
  return {
    uri: decodeText(view.uri),
    q: view.q,
    expires: view.expires,
    ageSecs: view.ageSecs,
    received: view.received,
    userAgent: view.userAgent === null ? undefined : decodeText(view.userAgent),
    path: view.path.map(decodeText),
    instance: view.instance === null ? undefined : decodeText(view.instance),
    regId: view.regId ?? undefined,
    reference: view.reference,
  }
}
