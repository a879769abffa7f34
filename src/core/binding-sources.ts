import { type Path, formatAddress } from '../base/address.ts'
import type { Request } from '../sip/message/message.ts'
import type { RegisterMeans } from '../sip/registrar/outbound.ts'
import type { Flow } from '../stack/transport.ts'
import type { BindingSource } from './location-store.ts'

/** User agents are few; one copy of each name serves all its bindings. */
const NAMES_KEPT = 1_000
const NO_PATH: readonly string[] = []

/** What is kept of where a REGISTER came from, and no more of it than that. */
export class BindingSources {
  readonly #names = new Map<string, string>()

  /** @param nated its contacts cannot be reached at their own address */
  of(
    aor: string,
    request: Request,
    path: Path,
    flow: Flow,
    means: RegisterMeans,
    nated: boolean,
  ): BindingSource {
    return {
      aor,
      protocol: path.protocol,
      received: ownText(formatAddress(path.remote)),
      flow: flow.reliable ? new WeakRef(flow) : null,
      flowId: flow.reliable ? flow.id : 0,
      local: path.local,
      nated,
      path: means.path.length === 0 ? NO_PATH : means.path.map(ownText),
      userAgent: this.#name(request.headers.first('user-agent')),
    }
  }

  #name(text: string | undefined): string | null {
    if (text === undefined) return null
    const known = this.#names.get(text)
    if (known !== undefined) return known
    if (this.#names.size >= NAMES_KEPT) this.#names.clear()
    const name = ownText(text)
    this.#names.set(name, name)
    return name
  }
}

/** V8 keeps the whole of a text for a slice of it: a datagram for a contact. This makes a text of its own. */
export function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
