import type { Path } from '../base/address.ts'
import type { Request, Response } from '../sip/message/message.ts'
import type { Flow } from '../stack/transport.ts'

/** What dispatch hands `save` verdicts to (RFC 3261 §10.3). */
export interface Registrar {
  /**
   * Binds what the REGISTER asks for, or refuses; synchronously. The response is complete but unsent.
   * @param flow what it came in on: requests to its contacts go back that way (RFC 5626)
   * @param authUser whom the script authenticated, null when nobody
   */
  save(request: Request, path: Path, flow: Flow, authUser: string | null): Response
}
