import { formatAddress, type Protocol } from '../../base/address.ts'
import type { Clock } from '../../base/clock.ts'
import type { Identifiers } from '../../base/identifiers.ts'
import { buildResponse, type ResponseOptions } from '../../sip/message/build.ts'
import type { Request, Response } from '../../sip/message/message.ts'
import { isSipUri, parseUri } from '../../sip/message/uri.ts'
import type { Spine } from '../../spine/spine.ts'
import type { TransactionLayer } from '../../stack/transaction-layer.ts'
import type { Flow, Target, TransportPort } from '../../stack/transport.ts'
import { targetOf } from '../flow-tokens.ts'
import type { Subscriptions } from '../registrar.ts'
import type { BindingEvent, RegistrarCore } from '../registrar-core.ts'
import { locate, type Resolver } from '../target.ts'
import { beginDialog, contactOf, dialogKey, nextRequest } from './notifier-dialog.ts'
import { RegSubscription, type SubscriptionEnd } from './reg-subscription.ts'

export interface RegSubscriptionsOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  readonly layer: () => Pick<TransactionLayer, 'request'>
  readonly resolver: Resolver
  readonly registrar: Pick<RegistrarCore, 'ownKey' | 'bindingsOf' | 'watch'>
  /** Most subscriptions at once; further ones get 503. */
  readonly maxSubscriptions: number
}

/** RFC 3680 §4.4. */
const DEFAULT_EXPIRES = 3761
const MIN_EXPIRES = 60
const MAX_EXPIRES = 86_400
/** Of one user: enough for his devices and some servers, and one user cannot take all places. */
const MAX_OF_ONE = 100

/**
 * Subscriptions to registrations: the notifier of RFC 6665 §4.2 for the event package `reg` (RFC 3680). The table is found
 * by dialog and by address-of-record; what a subscription says and when is `RegSubscription`'s.
 */
export class RegSubscriptions implements Subscriptions {
  readonly #o: RegSubscriptionsOptions
  readonly #byDialog = new Map<string, RegSubscription>()
  readonly #byAor = new Map<string, Set<RegSubscription>>()

  constructor(options: RegSubscriptionsOptions) {
    this.#o = options
    options.registrar.watch((event) => this.#onEvent(event))
  }

  get size(): number {
    return this.#byDialog.size
  }

  owns(request: Request): boolean {
    return this.#find(request) !== undefined
  }

  subscribe(request: Request, flow: Flow): { readonly response: Response; readonly after: () => void } {
    const known = request.toTag === undefined ? undefined : this.#find(request)
    if (request.toTag !== undefined && known === undefined) return this.#refuse(request, 481)
    const event = request.headers.first('event')?.split(';')[0]?.trim().toLowerCase()
    if (event !== 'reg') return this.#refuse(request, 489, { headers: [['Allow-Events', 'reg']] })
    const accept = request.headers.all('accept').join(',')
    if (accept !== '' && !/application\/reginfo\+xml|\*\/\*|application\/\*/i.test(accept)) {
      return this.#refuse(request, 406, { headers: [['Accept', 'application/reginfo+xml']] })
    }
    const asked = expiresOf(request)
    if (asked > 0 && asked < MIN_EXPIRES) {
      return this.#refuse(request, 423, { headers: [['Min-Expires', String(MIN_EXPIRES)]] })
    }
    const expires = Math.min(asked, MAX_EXPIRES)
    return known === undefined
      ? this.#begin(request, flow, expires)
      : this.#renew(known, request, flow, expires)
  }

  /** The server goes: every subscriber is told to come back later, elsewhere or here. */
  deactivate(): void {
    for (const subscription of [...this.#byDialog.values()]) subscription.end('deactivated')
  }

  /** Forgets all, sends nothing, leaves no timer. */
  close(): void {
    for (const subscription of this.#byDialog.values()) subscription.drop()
    this.#byDialog.clear()
    this.#byAor.clear()
  }

  #begin(request: Request, flow: Flow, expires: number): ReturnType<RegSubscriptions['subscribe']> {
    const aor = this.#o.registrar.ownKey(request.uri) ?? this.#o.registrar.ownKey(request.to.uri)
    if (aor === null) return this.#refuse(request, 404)
    if (this.size >= this.#o.maxSubscriptions || (this.#byAor.get(aor)?.size ?? 0) >= MAX_OF_ONE) {
      return this.#refuse(request, 503, { headers: [['Retry-After', '60']] })
    }
    const dialog = beginDialog(request, this.#o.identifiers.tag(), ownText)
    if (dialog === null) return this.#refuse(request, 400, { reason: 'A SUBSCRIBE without one Contact' })
    const key = dialogKey(dialog.callId, dialog.localTag, dialog.remoteTag)
    const back = wayBack(request, flow)
    const subscription: RegSubscription = new RegSubscription({
      clock: this.#o.clock,
      aor: ownText(aor),
      bindings: () => this.#o.registrar.bindingsOf(aor),
      notify: (headers, body, then) => {
        const { protocol } = subscription.back.path
        const options = {
          identifiers: this.#o.identifiers,
          via: this.#via(protocol),
          contact: this.#contact(protocol),
          contentType: 'application/reginfo+xml',
          headers,
          body,
        }
        const { request: notify, nextHop } = nextRequest(dialog, 'NOTIFY', options)
        this.#send(notify, nextHop, subscription.back, then)
      },
      onEnd: () => {
        this.#byDialog.delete(key)
        const others = this.#byAor.get(aor)
        others?.delete(subscription)
        if (others?.size === 0) this.#byAor.delete(aor)
      },
      dialog,
      back,
    })
    this.#byDialog.set(key, subscription)
    const others = this.#byAor.get(aor)
    if (others === undefined) this.#byAor.set(subscription.aor, new Set([subscription]))
    else others.add(subscription)
    return this.#accept(subscription, request, flow, expires)
  }

  #renew(
    subscription: RegSubscription,
    request: Request,
    flow: Flow,
    expires: number,
  ): ReturnType<RegSubscriptions['subscribe']> {
    const { dialog } = subscription
    // §12.2.2: older than what we have seen.
    if (request.cseq.number <= dialog.remoteCseq) return this.#refuse(request, 500)
    dialog.remoteCseq = request.cseq.number
    dialog.remoteTarget = ownText(contactOf(request) ?? dialog.remoteTarget)
    subscription.back = wayBack(request, flow)
    return this.#accept(subscription, request, flow, expires)
  }

  #accept(
    subscription: RegSubscription,
    request: Request,
    flow: Flow,
    expires: number,
  ): ReturnType<RegSubscriptions['subscribe']> {
    const response = buildResponse(request, 200, {
      toTag: subscription.dialog.localTag,
      headers: [
        ['Contact', this.#contact(flow.path.protocol)],
        ['Expires', String(expires)],
      ],
    })
    return { response, after: () => subscription.renewed(expires) }
  }

  #refuse(
    request: Request,
    status: number,
    options: ResponseOptions = {},
  ): ReturnType<RegSubscriptions['subscribe']> {
    const toTag = this.#o.identifiers.tag()
    return { response: buildResponse(request, status, { toTag, ...options }), after: () => undefined }
  }

  #find(request: Request): RegSubscription | undefined {
    return this.#byDialog.get(dialogKey(request.callId, request.toTag ?? '', request.fromTag ?? ''))
  }

  #onEvent({ event, reason, binding }: BindingEvent): void {
    const watching = this.#byAor.get(binding.source.aor)
    if (watching === undefined) return
    for (const subscription of [...watching]) subscription.changed(binding, contactEvent(event, reason))
  }

  #send(
    request: Request,
    nextHop: string,
    back: Back,
    then: (outcome: 'delivered' | SubscriptionEnd) => void,
  ): void {
    const done = (delivered: boolean): void => {
      this.#o.spine.notified.publish({ event: 'reg', outcome: delivered ? 'delivered' : 'failed' })
      then(delivered ? 'delivered' : 'failed')
    }
    const go = (target: Target): void => {
      let answered = false
      this.#o.layer().request(request, target, {
        onResponse: ({ status }) => {
          if (status < 200) return
          answered = true
          done(status < 300)
        },
        onEnd: () => {
          if (!answered) done(false)
        },
      })
    }
    if (back.target !== null && back.target.flow?.closed !== true) go(back.target)
    else {
      locate(nextHop, this.#o.resolver, (located) => {
        if (located.ok) go(located.target)
        else done(false)
      })
    }
  }

  #via(protocol: Protocol): string {
    return `${protocol.toUpperCase()} ${formatAddress(this.#o.transport.sentBy(protocol))}`
  }

  #contact(protocol: Protocol): string {
    const transport = protocol === 'udp' ? '' : `;transport=${protocol}`
    return `<sip:${formatAddress(this.#o.transport.sentBy(protocol))}${transport}>`
  }
}

/** How NOTIFYs get back to the subscriber. */
export interface Back {
  readonly path: Flow['path']
  /** The flow of the SUBSCRIBE, where its Contact cannot be reached or need not be; null: by route set and target. */
  readonly target: Target | null
}

/** Over the flow when nobody stands between: a connection that is open, or the hole in a NAT. */
function wayBack(request: Request, flow: Flow): Back {
  const { path } = flow
  if (request.headers.has('record-route')) return { path, target: null }
  const uri = parseUri(contactOf(request) ?? '')
  const host = uri.ok && isSipUri(uri.value) ? uri.value.host : null
  return { path, target: flow.reliable || host !== path.remote.host ? targetOf(flow) : null }
}

function contactEvent(
  event: BindingEvent['event'],
  reason: BindingEvent['reason'],
): 'registered' | 'refreshed' | 'expired' | 'deactivated' | 'unregistered' {
  if (event !== 'deregistered') return event
  // RFC 3680 §5.1: ended by the network, and the phone may register again at once.
  return reason === 'request' ? 'unregistered' : 'deactivated'
}

function expiresOf(request: Request): number {
  const text = request.headers.first('expires')?.trim()
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : DEFAULT_EXPIRES
}

function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
