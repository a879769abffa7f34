import assert from 'node:assert/strict'
import type { Address } from '../../src/base/address.ts'
import type { Identifiers } from '../../src/base/identifiers.ts'
import type { Message } from '../../src/sip/message/message.ts'
import { createSpine, type Spine } from '../../src/spine/spine.ts'
import type { Flow } from '../../src/stack/transport.ts'
import { countingIdentifiers } from './counting-identifiers.ts'
import { FakeClock } from './fake-clock.ts'
import { assertLadder, drawLadder } from './ladder.ts'
import { type NetworkRules, SimulatedNetwork } from './network.ts'
import { Phone } from './phone.ts'
import { SimulatedTransport } from './simulated-transport.ts'

export interface LabOptions extends NetworkRules {
  readonly domain?: string
  /** Where the server under test is. Attach it there with `network.attach('siphon', server, …)` or `transport(…)`. */
  readonly server?: Address
}

export interface Lab {
  readonly clock: FakeClock
  /** The server's; phones count with their own name as prefix. */
  readonly identifiers: Identifiers
  /** The server's; a listener or a layer that throws fails the test. */
  readonly spine: Spine
  readonly network: SimulatedNetwork
  readonly server: Address
  readonly domain: string
  /** A transport layer for an endpoint that works on messages and flows instead of bytes and paths. */
  transport(
    name: string,
    address: Address,
    onMessage: (message: Message, flow: Flow) => void,
  ): SimulatedTransport
  /** A phone at the next free address 192.0.2.n:5060, not registered yet. */
  phone(name: string): Phone
  /** What has crossed the network since the last call of `clearLadder`. */
  ladder(): string
  /** Compares `ladder()` with what is drawn, blanks between columns aside. */
  assertLadder(expected: string): void
  clearLadder(): void
}

/** A network, a clock and phones for a server under test. Nothing moves until `clock.advance`. */
export function lab(options: LabOptions = {}): Lab {
  const { domain = 'example.com', server = { host: '192.0.2.254', port: 5060 } } = options
  const clock = new FakeClock()
  const network = new SimulatedNetwork(clock, options)
  let phones = 0
  const transport = (
    name: string,
    address: Address,
    onMessage: (message: Message, flow: Flow) => void,
    spine = failingSpine(),
  ): SimulatedTransport => new SimulatedTransport({ network, clock, spine, name, address, onMessage })
  const spine = failingSpine()
  return {
    clock,
    identifiers: countingIdentifiers('siphon-'),
    spine,
    network,
    server,
    domain,
    transport: (name, address, onMessage) => transport(name, address, onMessage, spine),
    phone: (name) => {
      const address = { host: `192.0.2.${++phones}`, port: 5060 }
      const own = failingSpine()
      const phone: Phone = new Phone(name, {
        clock,
        identifiers: countingIdentifiers(`${name}-`),
        spine: own,
        transport: transport(name, address, (message, flow) => phone.soft.onMessage(message, flow), own),
        domain,
        address,
        server,
      })
      return phone
    },
    ladder: () => drawLadder(network.sent),
    assertLadder: (expected) => assertLadder(drawLadder(network.sent), expected),
    clearLadder: () => void network.sent.splice(0),
  }
}

/** Faults must not pass unseen in a test: what is logged as an error is thrown when the test ends its turn. */
function failingSpine(): Spine {
  const spine = createSpine((channel, error) =>
    queueMicrotask(() => assert.fail(`${channel}: ${String(error)}`)),
  )
  spine.logged.subscribe(({ level, module, text, fields }) => {
    if (level !== 'error') return
    queueMicrotask(() => assert.fail(`${module}: ${text} ${JSON.stringify(fields)}`))
  })
  return spine
}
