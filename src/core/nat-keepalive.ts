import { formatAddress, type Protocol } from '../base/address.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import { HeaderFields } from '../sip/message/header-fields.ts'
import { Request } from '../sip/message/message.ts'
import type { Spine } from '../spine/spine.ts'
import type { TransactionLayer } from '../stack/transaction-layer.ts'
import type { Target, TransportPort } from '../stack/transport.ts'
import { wayTo } from './binding-ways.ts'
import type { StoredBinding } from './location-store.ts'
import type { BindingEvent, RegistrarCore } from './registrar-core.ts'

export interface NatKeepAliveOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
  readonly transport: TransportPort
  readonly layer: () => Pick<TransactionLayer, 'request'>
  readonly registrar: Pick<RegistrarCore, 'watch' | 'current' | 'endFlow'>
  /** `crlf`, `null`: a datagram that nobody answers. `options`: a request; a phone that answers anything is there. */
  readonly method: 'crlf' | 'null' | 'options'
  readonly intervalMs: number
  /** So many OPTIONS without an answer, one after another, and the flow is dead. */
  readonly failureThreshold: number
}

interface Pinged {
  binding: StoredBinding
  due: number
  failures: number
}

const PINGS = { crlf: '\r\n\r\n', null: '\0\0\0\0' } as const
/** Timers fire together when they are so near. */
const GRAIN_MS = 20
/** Pings of one turn of the event loop: calls pass in between. */
const AT_ONCE = 200

/**
 * Keeps the holes in NATs open through which registered phones are reached over UDP, and finds out which have closed.
 *
 * All are due one interval after the last time, so a queue in order of arrival is in order of deadline: one timer, and
 * no look at anybody whose turn it is not. A binding that has gone leaves the queue when its turn comes.
 */
export class NatKeepAlive {
  readonly #o: NatKeepAliveOptions
  #queue: (Pinged | undefined)[] = []
  #head = 0
  readonly #known = new Set<number>()
  #timer: Timer | null = null
  #closed = false

  constructor(options: NatKeepAliveOptions) {
    this.#o = options
    options.registrar.watch((event) => this.#onEvent(event))
  }

  /** Bindings that are kept alive. */
  get size(): number {
    return this.#known.size
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#timer = null
    this.#queue = []
    this.#known.clear()
  }

  #onEvent({ event, binding }: BindingEvent): void {
    if (this.#closed || (event !== 'registered' && event !== 'refreshed')) return
    if (this.#known.has(binding.id) || targetFor(binding) === null) return
    this.#known.add(binding.id)
    this.#add({ binding, due: 0, failures: 0 })
  }

  #add(pinged: Pinged): void {
    pinged.due = this.#o.clock.now() + this.#o.intervalMs
    this.#queue.push(pinged)
    this.#timer ??= this.#start(this.#o.intervalMs)
  }

  #start(ms: number): Timer {
    return this.#o.clock.startTimer(ms, () => {
      this.#timer = null
      this.#run()
    })
  }

  #run(): void {
    const now = this.#o.clock.now()
    for (let count = 0; ; count++) {
      const next = this.#queue[this.#head]
      if (next === undefined) {
        this.#queue = []
        this.#head = 0
        return
      }
      if (next.due > now || count >= AT_ONCE) {
        this.#compact()
        // What is pinged meanwhile may have started one.
        this.#timer ??= this.#start(count >= AT_ONCE ? 1 : Math.max(GRAIN_MS, next.due - now))
        return
      }
      this.#queue[this.#head++] = undefined
      this.#turn(next)
    }
  }

  #compact(): void {
    if (this.#head < 1024 || this.#head * 2 < this.#queue.length) return
    this.#queue = this.#queue.slice(this.#head)
    this.#head = 0
  }

  #turn(pinged: Pinged): void {
    const { clock, registrar, method } = this.#o
    const binding = registrar.current(pinged.binding)
    const target = binding === undefined ? null : targetFor(binding)
    if (binding === undefined || target === null) {
      this.#known.delete(pinged.binding.id)
      return
    }
    pinged.binding = binding
    // A REGISTER within the interval has done what a ping does.
    const quiet = clock.now() - binding.updatedAt >= this.#o.intervalMs / 2
    if (!quiet) pinged.failures = 0
    if (quiet && method === 'options') this.#ask(pinged, target)
    else if (quiet && method !== 'options') this.#ping(PINGS[method], method, target)
    this.#add(pinged)
  }

  #ping(text: string, method: 'crlf' | 'null', target: Target): void {
    this.#o.transport.reach(target, (flow) => {
      const sent = flow?.ping?.(text) === true
      this.#o.spine.keptAlive.publish({ method, outcome: sent ? 'sent' : 'failed' })
    })
  }

  #ask(pinged: Pinged, target: Target): void {
    const { spine, layer } = this.#o
    spine.keptAlive.publish({ method: 'options', outcome: 'sent' })
    let answered = false
    layer().request(this.#options(pinged.binding, target.protocol), target, {
      onResponse: () => {
        if (answered) return
        answered = true
        pinged.failures = 0
        spine.keptAlive.publish({ method: 'options', outcome: 'answered' })
      },
      onEnd: () => {
        if (answered || this.#closed) return
        spine.keptAlive.publish({ method: 'options', outcome: 'failed' })
        if (++pinged.failures >= this.#o.failureThreshold) this.#dead(pinged)
      },
    })
  }

  /** Only a binding of RFC 5626 is one with its flow; another may still be reached by its URI, or come back. */
  #dead({ binding }: Pinged): void {
    const now = this.#o.registrar.current(binding)
    if (now === undefined || now.regId === null) return
    // It has registered anew while it was being asked: over another flow, perhaps.
    if (now.updatedAt !== binding.updatedAt) return
    this.#o.registrar.endFlow(now, 'no_answer')
  }

  #options({ uri, source }: StoredBinding, protocol: Protocol): Request {
    const { identifiers, transport } = this.#o
    const host = formatAddress(transport.sentBy(protocol))
    const headers = new HeaderFields()
    headers.append('Via', `SIP/2.0/${protocol.toUpperCase()} ${host};branch=${identifiers.branch()};rport`)
    headers.append('Max-Forwards', '70')
    headers.append('From', `<sip:keepalive@${host}>;tag=${identifiers.tag()}`)
    headers.append('To', `<${source.aor}>`)
    headers.append('Call-ID', identifiers.callId())
    headers.append('CSeq', '1 OPTIONS')
    return new Request('OPTIONS', uri, headers)
  }
}

/** Of a phone behind a NAT, or of RFC 5626, over UDP: where its REGISTER came from. Connections ping for themselves. */
function targetFor(binding: StoredBinding): Target | null {
  if (binding.source.protocol !== 'udp') return null
  return wayTo(binding).target
}
