import type { DestinationView } from '../gateway-codec.ts'
import { decodeText } from './text.ts'

/**
 * A gateway of a group, as it was when the script asked for it. Given to `request.relay` or `request.fork` it becomes the next
 * hop, and the Request-URI stays as it is, host and all; given to `call.dial` or `call.fork`, the Request-URI gets its host.
 * Only `gateway` makes them.
 */
export class Destination {
  readonly #view: DestinationView

  /** @internal */
  constructor(view: DestinationView) {
    this.#view = view
  }

  get group(): string {
    return this.#view.group
  }

  /** Unique in its group: what metrics and the admin API call it. */
  get name(): string {
    return this.#view.name
  }

  get uri(): string {
    return decodeText(this.#view.uri)
  }

  /** `host:port`, when it was given besides the URI. */
  get address(): string | undefined {
    return this.#view.address ?? undefined
  }

  /** Whether it could be chosen when it was asked for. */
  get healthy(): boolean {
    return this.#view.state === 'up'
  }

  /** `up`, or why it gets nothing: `manual_down`, `held` (503 with Retry-After), `probes_failed`, `circuit_open`. */
  get state(): 'up' | 'manual_down' | 'held' | 'probes_failed' | 'circuit_open' {
    return this.#view.state
  }

  get weight(): number {
    return this.#view.weight
  }

  /** Lower ones are used first. */
  get priority(): number {
    return this.#view.priority
  }

  get attrs(): Readonly<Record<string, string>> {
    const entries = Object.entries(this.#view.attrs)
    return Object.fromEntries(entries.map(([name, value]) => [decodeText(name), decodeText(value)]))
  }

  /** For logs and JSON: what can be read of it. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { group, name, uri, address, healthy, state, weight, priority, attrs } = this
    return { group, name, uri, address, healthy, state, weight, priority, attrs }
  }

  /** @internal The next hop and the key of a thing that is one; undefined when it is not. */
  static routeOf(thing: unknown): { readonly hop: string; readonly key: string } | undefined {
    if (typeof thing !== 'object' || thing === null || !(#view in thing)) return undefined
    const { group, name, hop } = thing.#view
    return { hop, key: `${group}/${name}` }
  }
}
