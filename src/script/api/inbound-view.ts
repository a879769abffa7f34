import type { Path, Protocol } from '../../base/address.ts'
import type { Decision, Edit } from '../../core/verdict.ts'
import { isDigestFor } from '../../sip/auth/fields.ts'
import { headerKey, type HeaderFields } from '../../sip/message/header-fields.ts'
import type { Request } from '../../sip/message/message.ts'
import { Demands } from './demands.ts'
import { MessageView } from './message-view.ts'
import { addFields } from './record-fields.ts'
import { decodeText, encodeText } from './text.ts'

/** @internal A request as it came, whatever the script has made of it since. Binary text. */
export interface Received {
  readonly method: string
  readonly uri: string
  readonly body: string
  readonly path: Path
  readonly headers: HeaderFields
}

/** A request that waits for a script's decision: where it came from, who sent it, and what is kept of it until it is decided. */
export abstract class InboundView extends MessageView {
  /** @internal What the script must keep to: see `Demands`. */
  readonly demands = new Demands()
  readonly #request: Request
  readonly #path: Path
  readonly #edits: Edit[]
  #received: Received
  #cdr: string | null = null
  #authUser: string | undefined
  /** Realms whose credentials have done their work and go no further, by field. Made when needed: most requests ask nobody. */
  #spent: Map<string, Set<string>> | null = null
  #proven: Map<string, string> | null = null

  /** @internal @param frozen why the request cannot be changed any more; undefined when it can */
  constructor(request: Request, path: Path, frozen: string | undefined) {
    const edits: Edit[] = []
    super(request, frozen ?? edits)
    this.#request = request
    this.#path = path
    this.#edits = edits
    const { method, uri, body } = request
    const headers = frozen === undefined ? request.headers.clone() : request.headers
    this.#received = { method, uri, body, path, headers }
  }

  /** @internal */
  get received(): Received {
    return this.#received
  }

  /** The Request-URI, as received or as last set. */
  get ruri(): string {
    return decodeText(this.#request.uri)
  }

  get transport(): Protocol {
    return this.#path.protocol
  }

  /** Where the request came from: the address the socket saw, whatever Via says. */
  get sourceIp(): string {
    return this.#path.remote.host
  }

  get sourcePort(): number {
    return this.#path.remote.port
  }

  /** The user who proved to be who they are; goes into the call's record. A script that authenticates may set it. */
  get authUser(): string | undefined {
    return this.#authUser
  }

  set authUser(user: string | undefined) {
    this.#authUser = user
  }

  /** @internal Users who proved themselves, by kind and realm of the credentials. */
  get proven(): Map<string, string> {
    return (this.#proven ??= new Map())
  }

  /** @internal The credentials in `name` for this realm are for us alone: they are not sent on (§22.3). */
  spend(name: string, realm: string): void {
    this.#spent ??= new Map()
    const realms = this.#spent.get(name) ?? new Set()
    this.#spent.set(name, realms.add(realm))
  }

  /** @internal The script's own fields for the call's record: a JSON object. */
  addToRecord(json: string): void {
    this.#cdr = addFields(this.#cdr, json)
  }

  /** @internal Goes on with a request that another view began: what its script did, and who sent it. */
  inherit(before: InboundView, { edits, cdr, authUser }: Decision): void {
    this.#received = before.#received
    this.#proven = before.#proven
    this.#edits.push(...edits)
    this.#cdr = cdr
    if (authUser !== null) this.#authUser = decodeText(authUser)
  }

  /** @internal @param edits of what goes on; unless told, those of this request, and the credentials it has spent */
  decide(verdict: Decision['verdict'], edits: readonly Edit[] = this.#ownEdits()): Decision {
    const user = this.#authUser
    return {
      verdict,
      edits,
      recordRoute: false,
      cdr: this.#cdr,
      authUser: user === undefined ? null : encodeText(user),
    }
  }

  /** @internal */
  protected setUri(text: string): void {
    this.edit(['ruri', text])
    this.#request.uri = text
  }

  #ownEdits(): readonly Edit[] {
    for (const [name, realms] of this.#spent ?? []) this.#takeOff(name, realms)
    this.#spent = null
    return this.#edits
  }

  #takeOff(name: string, realms: ReadonlySet<string>): void {
    const values = this.#request.headers.all(headerKey(name))
    const kept = values.filter((value) => !isDigestFor(value, realms))
    if (kept.length === values.length) return
    this.#edits.push(['remove', name], ...kept.map((value) => ['add', name, value] as const))
  }
}
