import { systemClock } from '../../src/base/clock.ts'
import { randomIdentifiers } from '../../src/base/identifiers.ts'
import type { AnswerStep, CallState, OutgoingCall } from '../../src/cli/soft-call.ts'
import { SoftPhone } from '../../src/cli/soft-phone.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { TransportLayer } from '../../src/stack/transport-layer.ts'

/** A simulated phone on a UDP socket of its own, for tests against the real server. */
export interface RealPhone {
  /** Registers with the server. Resolves with the final status. */
  register(): Promise<number>
  /** Calls, and resolves when the call has come so far; rejects when it ends before. */
  call(target: string, until: CallState): Promise<OutgoingCall>
  /** Resolves when the call has ended, or at once when it has. */
  ended(call: OutgoingCall): Promise<void>
  close(): Promise<void>
}

/** @param answers what it does with every call */
export async function openPhone(
  user: string,
  domain: string,
  serverPort: number,
  answers: readonly AnswerStep[] = [],
): Promise<RealPhone> {
  const clock = systemClock
  const identifiers = randomIdentifiers()
  const spine = createSpine((channel, error) => {
    throw new Error(`${channel}: ${String(error)}`)
  })
  let phone: SoftPhone | null = null
  const transport = new TransportLayer({
    clock,
    identifiers,
    spine,
    onMessage: (message, flow) => phone?.onMessage(message, flow),
    onFlowClosed: () => undefined,
  })
  const address = await transport.listen({
    protocol: 'udp',
    address: { host: '127.0.0.1', port: 0 },
    advertise: null,
  })
  const server = { host: '127.0.0.1', port: serverPort }
  const soft = new SoftPhone({
    ...{ clock, identifiers, spine, transport, user, domain, address, server },
    onCall: (call) => call.answer(answers),
  })
  phone = soft
  return {
    register: () => new Promise((done) => soft.register(300, done)),
    call: (target, state) =>
      new Promise((done, fail) => {
        const call = soft.invite(target)
        call.onMoved = (moved) => {
          if (moved === state) done(call)
          else if (moved === 'ended') fail(new Error(`the call to ${target} ended with ${call.status}`))
        }
      }),
    ended: (call) =>
      new Promise((done) => {
        if (call.state === 'ended') done()
        else call.onMoved = (moved) => void (moved === 'ended' && done())
      }),
    close: async () => {
      soft.close()
      await transport.close()
    },
  }
}
