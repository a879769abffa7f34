import { tableOfHops } from './next-hops.ts'
import type { Address } from '../../src/base/address.ts'
import { B2buaCore } from '../../src/core/b2bua/b2bua-core.ts'
import { CallTracker } from '../../src/core/calls.ts'
import { Dispatch } from '../../src/core/dispatch.ts'
import { FlowTokens } from '../../src/core/flow-tokens.ts'
import { NatKeepAlive, type NatKeepAliveOptions } from '../../src/core/nat-keepalive.ts'
import { ProxyCore } from '../../src/core/proxy-core.ts'
import { ProxyDialogs } from '../../src/core/proxy-dialogs.ts'
import { RegSubscriptions } from '../../src/core/reg-events/reg-subscriptions.ts'
import { RegistrarCore, type RegistrarCoreOptions } from '../../src/core/registrar-core.ts'
import type { Decision, Job, Router, Verdict } from '../../src/core/verdict.ts'
import type { KeptAlive, RegistrationChanged } from '../../src/spine/facts.ts'
import { TransactionLayer } from '../../src/stack/transaction-layer.ts'
import type { Lab } from './lab.ts'

export const verdict = (is: Verdict, more: Partial<Decision> = {}): Decision => ({
  verdict: is,
  edits: [],
  recordRoute: false,
  cdr: null,
  authUser: null,
  ...more,
})

export interface ElementOptions {
  readonly address: Address
  readonly script: (job: Job, registrar: RegistrarCore) => Decision
  readonly registrar?: Partial<RegistrarCoreOptions>
  readonly keepAlive?: Pick<NatKeepAliveOptions, 'method' | 'intervalMs' | 'failureThreshold'>
}

/** The engine's parts as one network element, with everything that a registrar or an edge proxy does. */
export function element(
  room: Lab,
  name: string,
  { address, script, registrar: more, keepAlive }: ElementOptions,
) {
  const { clock, identifiers, spine, domain } = room
  const own = {
    isOurs: (host: string, port: number | null) => host === address.host && (port ?? 5060) === address.port,
    isLocalDomain: (host: string) => host === domain && name !== 'edge',
  }
  const transport = room.transport(name, address, (message, flow) => transactions.onMessage(message, flow))
  const registrar = new RegistrarCore({
    clock,
    identifiers,
    spine,
    rules: { defaultExpires: 3600, minExpires: 60, maxExpires: 7200, maxContacts: 10 },
    isLocal: own.isLocalDomain,
    ...more,
  })
  const router: Router = {
    handles: (kind) => kind === 'request',
    reserve: () => ({
      release: () => undefined,
      decide: (job, done) =>
        void clock.startTimer(0, () => done({ ok: true, decision: script(job, registrar) })),
    }),
  }
  const flowTokens = new FlowTokens(Buffer.from(`the secret of ${name}, 16 bytes`), identifiers.tag())
  const layer = (): TransactionLayer => transactions
  const resolver = tableOfHops(
    () => [],
    (answer) => answer(),
  )
  const common = { clock, identifiers, spine, transport, layer, registrar }
  const subscriptions = new RegSubscriptions({ ...common, resolver, maxSubscriptions: 3 })
  const pings = keepAlive && new NatKeepAlive({ ...common, ...keepAlive })
  const calls = new CallTracker({ clock, identifiers, spine })
  const dialogs = new ProxyDialogs({ clock })
  const proxy = new ProxyCore({
    ...common,
    router,
    own,
    resolver,
    flowFor: (uri, called) => registrar.location.flowFor(uri, called) ?? undefined,
    ways: registrar.location,
    flowTokens,
  })
  const flowFor = (): undefined => undefined
  const b2bua = new B2buaCore({ ...common, router, own, resolver, flowFor, calls, chance: () => 0.5 })
  const parts = { ...common, b2bua, router, own, proxy, calls, dialogs, subscriptions, flowTokens }
  const dispatch = new Dispatch(parts)
  const transactions: TransactionLayer = new TransactionLayer({ ...common, user: dispatch })
  const facts: RegistrationChanged[] = []
  const kept: KeptAlive[] = []
  spine.registrationChanged.subscribe((fact) => facts.push(fact))
  spine.keptAlive.subscribe((fact) => kept.push(fact))
  return { registrar, flowTokens, subscriptions, pings, facts, kept, transactions }
}
