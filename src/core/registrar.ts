import type { Path } from '../base/address.ts'
import type { Request, Response } from '../sip/message/message.ts'
import type { Flow } from '../stack/transport.ts'

export interface SaveOptions {
  /** The contacts of this REGISTER take the place of all others. */
  readonly force?: boolean
  /** The contacts are behind a NAT: what is for them goes to where the REGISTER came from. */
  readonly nated?: boolean
}

/** What dispatch hands `save` verdicts to (RFC 3261 §10.3). */
export interface Registrar {
  /**
   * Binds what the REGISTER asks for, or refuses; synchronously. The response is complete but unsent.
   * @param flow what it came in on: requests to its contacts go back that way (RFC 5626)
   * @param authUser whom the script authenticated, null when nobody
   */
  save(request: Request, path: Path, flow: Flow, authUser: string | null, options?: SaveOptions): Response
}

/** What dispatch hands `subscribe` verdicts to, and the refreshes of what came of them. */
export interface Subscriptions {
  /**
   * Answers a SUBSCRIBE to registrations (RFC 3680), or a refresh of one.
   * @returns the response, unsent, and what to do when it has been sent
   */
  subscribe(request: Request, flow: Flow): { readonly response: Response; readonly after: () => void }
  /** Whether a SUBSCRIBE within a dialog belongs to a subscription here. */
  owns(request: Request): boolean
}
