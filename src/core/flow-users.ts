import type { Flow } from '../stack/transport.ts'
import type { LocationStore, StoredBinding } from './location-store.ts'

/** Who is registered over which connection: what is to go with it. */
export class FlowUsers {
  readonly #store: LocationStore
  /** Connections by number, and whose contacts came over them. */
  readonly #overFlow = new Map<number, Set<string>>()

  constructor(store: LocationStore) {
    this.#store = store
  }

  /** A binding was made or refreshed, perhaps over a connection. */
  add({ source: { aor, flow, flowId } }: StoredBinding): void {
    if (flow === null) return
    const aors = this.#overFlow.get(flowId)
    if (aors === undefined) this.#overFlow.set(flowId, new Set([aor]))
    else aors.add(aor)
  }

  /** A connection is gone: what was registered over it by RFC 5626 was registered over nothing else (§6). */
  closed(flow: Flow): void {
    const aors = this.#overFlow.get(flow.id)
    if (aors === undefined) return
    this.#overFlow.delete(flow.id)
    for (const aor of aors) {
      this.#store.remove(
        aor,
        'flow_closed',
        ({ regId, source }) => regId !== null && source.flowId === flow.id,
      )
    }
  }

  clear(): void {
    this.#overFlow.clear()
  }
}
