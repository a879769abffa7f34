import { formatAddress, type Protocol } from '../../base/address.ts'
import type { Clock } from '../../base/clock.ts'
import type { Identifiers } from '../../base/identifiers.ts'
import { TARGET_REFRESH } from '../../sip/dialog/dialog.ts'
import type { Request } from '../../sip/message/message.ts'
import type { Spine } from '../../spine/spine.ts'
import type { ClientTransaction, ClientUser, TransactionLayer } from '../../stack/transaction-layer.ts'
import type { Flow, SentBy, Target, Toward, TransportPort } from '../../stack/transport.ts'
import { type FailoverTimes, NextTargets } from '../next-targets.ts'
import type { Resolver } from '../target.ts'

export interface EgressOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  readonly layer: () => Pick<TransactionLayer, 'request'>
  readonly resolver: Resolver
  /** The flow or address that the requests of this leg take, whatever their URIs say; null: there is none any more. */
  readonly pinned: (callId: string) => Target | null | undefined
  /** The connection that a request of this Call-ID to this URI has to take; undefined: find a way by the URI. */
  readonly flowFor: (uri: string, callId: string) => Flow | undefined
  readonly failover: FailoverTimes
}

/** Where requests of legs leave: over which flow, to which of the targets of their next hop, and under which name of ours. */
export class Egress {
  readonly #o: EgressOptions
  readonly #next: NextTargets
  /** As text, by the listener they are of. */
  readonly #names = new WeakMap<SentBy, string>()

  constructor(options: EgressOptions) {
    this.#o = options
    this.#next = new NextTargets(options)
  }

  /** The targets to try, in this order; or the status of a hop that leads nowhere. Possibly at once. */
  find(hop: string, callId: string, then: (targets: readonly Target[] | number) => void): void {
    const pinned = this.#o.pinned(callId)
    // 480: the flow a phone was registered over is gone, and it listens nowhere else (RFC 5626 §5.3).
    if (pinned === null) return then(480)
    if (pinned !== undefined) return then([pinned])
    return this.#next.find(hop, this.#o.flowFor(hop, callId), then)
  }

  /**
   * A client transaction over these targets, one after another where the one before does not serve (RFC 3263 §4.3).
   * @param wanted false when the request was given up meanwhile
   */
  send(
    request: Request,
    targets: readonly Target[],
    user: ClientUser,
    wanted: () => boolean,
  ): ClientTransaction {
    const [only] = targets
    if (targets.length === 1 && only !== undefined) return this.#launch(request, only, user)
    const over = this.#next.failover(request, targets, user, wanted, (copy, target, attempt) =>
      this.#launch(copy, target, attempt),
    )
    over.start()
    return over
  }

  /** Via, and a Contact where the request has to have one. */
  stamp(request: Request, { protocol, host, flow, local }: Target): void {
    const own = flow?.path.local ?? local
    const toward = { host, ...(own === undefined ? {} : { local: own }) }
    const branch = this.#o.identifiers.branch()
    if (TARGET_REFRESH.has(request.method)) request.headers.append('Contact', this.contact(protocol, toward))
    const name = this.#name(protocol, toward)
    request.headers.prepend('Via', `SIP/2.0/${protocol.toUpperCase()} ${name};branch=${branch}`)
  }

  /** Our Contact towards a peer. It says nothing of the other leg. */
  contact(protocol: Protocol, toward: Toward): string {
    const transport = protocol === 'udp' ? '' : `;transport=${protocol}`
    return `<sip:${this.#name(protocol, toward)}${transport}>`
  }

  #launch(request: Request, target: Target, user: ClientUser): ClientTransaction {
    this.stamp(request, target)
    return this.#o.layer().request(request, target, user)
  }

  /** What we are called there. */
  #name(protocol: Protocol, toward: Toward): string {
    const at = this.#o.transport.sentBy(protocol, toward)
    const known = this.#names.get(at)
    if (known !== undefined) return known
    const text = formatAddress(at)
    this.#names.set(at, text)
    return text
  }
}
