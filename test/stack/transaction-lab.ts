import type { Path, Protocol } from '../../src/base/address.ts'
import type { Message, Request, Response } from '../../src/sip/message/message.ts'
import type { TimerBase } from '../../src/sip/transaction/timers.ts'
import type { LogLine, Retransmitted } from '../../src/spine/facts.ts'
import { createSpine } from '../../src/spine/spine.ts'
import {
  type ClientUser,
  type ServerTransaction,
  TransactionLayer,
  type TransactionUser,
} from '../../src/stack/transaction-layer.ts'
import type { Flow, Target, TransportPort } from '../../src/stack/transport.ts'
import { FakeClock } from '../support/fake-clock.ts'

let flows = 0

/** A flow that delivers nowhere: what it is given is written down, and it fails when told to. */
export class FakeFlow implements Flow {
  readonly id = ++flows
  readonly path: Path
  readonly reliable: boolean
  closed = false
  /** Called for each message; false makes the send fail. */
  onSend: (message: Message) => boolean = () => true
  readonly #name: string
  readonly #note: (text: string) => void

  constructor(protocol: Protocol, name: string, note: (text: string) => void) {
    const local = { host: '192.0.2.1', port: 5060 }
    this.path = { protocol, local, remote: { host: '192.0.2.2', port: 5060 } }
    this.reliable = protocol !== 'udp'
    this.#name = name
    this.#note = note
  }

  send(message: Message): boolean {
    const what = message.kind === 'request' ? message.method : String(message.status)
    const sent = !this.closed && this.onSend(message)
    this.#note(`→ ${what}${this.#name}${sent ? '' : ' failed'}`)
    return sent
  }
}

export interface Lab {
  readonly clock: FakeClock
  readonly layer: TransactionLayer
  /** What happened, each line beginning with the time. `→` was sent, `↑` went to the user. */
  readonly log: string[]
  /** `in INVITE`, `out 486`… as published on the spine. */
  readonly retransmitted: string[]
  readonly faults: LogLine[]
  readonly udp: FakeFlow
  readonly tcp: FakeFlow
  /** Notes everything it is told. */
  readonly user: ClientUser
  /** Server transactions accepted, in order. */
  readonly accepted: ServerTransaction[]
  /** What the user does with a new request besides writing it down; the default accepts it. */
  onRequest: (request: Request, accept: () => ServerTransaction) => void
  onResponse: (response: Response) => void
  /** How the transport reaches a target: default at once, on `udp` or `tcp` by protocol. */
  reach: TransportPort['reach']
  responseFlow: TransportPort['responseFlow']
  /** The log since the last call. */
  taken(): string[]
  /** True when no transaction and no timer is left. */
  clean(): boolean
}

export const toUdp: Target = { protocol: 'udp', host: '192.0.2.2', port: 5060 }
export const toTcp: Target = { protocol: 'tcp', host: '192.0.2.2', port: 5060 }

/** A transaction layer between a transport that writes down and a user that writes down. */
export function transactionLab(timers: Partial<TimerBase> = {}): Lab {
  const clock = new FakeClock()
  const log: string[] = []
  const retransmitted: string[] = []
  const faults: LogLine[] = []
  const accepted: ServerTransaction[] = []
  const note = (text: string): void => void log.push(`${clock.now()} ${text}`)
  const udp = new FakeFlow('udp', '', note)
  const tcp = new FakeFlow('tcp', '', note)
  const spine = createSpine((_channel, error) => {
    throw error
  })
  spine.retransmitted.subscribe(({ direction, method }: Retransmitted) =>
    retransmitted.push(`${direction} ${method}`),
  )
  spine.logged.subscribe((line) => faults.push(line))

  const keep = (accept: () => ServerTransaction): ServerTransaction => {
    const transaction = accept()
    accepted.push(transaction)
    transaction.onEnd = (reason) => note(`↑ end ${reason}`)
    transaction.onTransportError = () => note('↑ transport error')
    return transaction
  }
  const user: TransactionUser = {
    onRequest(request, _flow, accept) {
      note(`↑ ${request.method}`)
      lab.onRequest(request, () => keep(accept))
    },
    onAck: () => note('↑ ACK'),
    onCancel(cancel, _flow, invite, accept) {
      note(`↑ CANCEL of ${invite === null ? 'nothing' : invite.id}`)
      lab.onRequest(cancel, () => keep(accept))
    },
    onStrayResponse: (response) => note(`↑ stray ${response.status}`),
  }
  const transport: TransportPort = {
    reach: (target, then) => lab.reach(target, then),
    responseFlow: (request, arrivedOn, then) => lab.responseFlow(request, arrivedOn, then),
    sentBy: () => ({ host: '192.0.2.1', port: 5060 }),
  }
  let count = 0
  const identifiers = {
    branch: () => `z9hG4bK${++count}`,
    tag: () => `tag${++count}`,
    callId: () => `call${++count}`,
    recordId: () => `record${++count}`,
  }
  const layer = new TransactionLayer({ clock, identifiers, spine, transport, user, timers })
  const lab: Lab = {
    clock,
    layer,
    log,
    retransmitted,
    faults,
    udp,
    tcp,
    accepted,
    user: {
      onResponse(response) {
        note(`↑ ${response.status}`)
        lab.onResponse(response)
      },
      onEnd: (reason) => note(`↑ end ${reason}`),
    },
    onRequest: (_request, accept) => void accept(),
    onResponse: () => {},
    reach: (target, then) =>
      then(target.flow instanceof FakeFlow ? target.flow : target.protocol === 'udp' ? udp : tcp),
    responseFlow: (_request, arrivedOn, then) => then(arrivedOn),
    taken: () => log.splice(0),
    clean: () => layer.idle && clock.pendingTimers === 0,
  }
  return lab
}
