import type { Clock } from '../../src/base/clock.ts'
import type { MediaRelay } from '../../src/core/b2bua/call-media.ts'
import assert from 'node:assert/strict'
import { B2buaCore } from '../../src/core/b2bua/b2bua-core.ts'
import type { Ways } from '../../src/core/binding-ways.ts'
import type { GatewayPort } from '../../src/core/branch-watch.ts'
import { CallTracker } from '../../src/core/calls.ts'
import { Dispatch } from '../../src/core/dispatch.ts'
import { ProxyCore } from '../../src/core/proxy-core.ts'
import { ProxyDialogs } from '../../src/core/proxy-dialogs.ts'
import type {
  Decision,
  DialVerdict,
  HandlerKind,
  Job,
  Outcome,
  Router,
  Verdict,
} from '../../src/core/verdict.ts'
import type { CallDecided, CallRecord, LegEnded } from '../../src/spine/facts.ts'
import { TransactionLayer } from '../../src/stack/transaction-layer.ts'
import { Agent } from './agent.ts'
import { lab, type Lab, type LabOptions } from './lab.ts'
import { tableOfHops } from './next-hops.ts'

export type Script = Partial<Record<HandlerKind, (job: Job) => Decision>>

export interface B2buaLabOptions extends LabOptions {
  readonly script?: Script
  /** How long handlers think, ms. */
  readonly thinks?: number
  /** What a handler does first, before it has thought. */
  readonly begins?: (job: Job) => void
  readonly agents?: readonly string[]
  readonly media?: (clock: Clock, room: Lab) => MediaRelay
  /** Registered contacts. */
  readonly ways?: Ways
  readonly gateways?: GatewayPort
  /** Where names lead: addresses, first choice first. */
  readonly names?: Readonly<Record<string, readonly string[]>>
}

export const decision = (verdict: Verdict, more: Partial<Decision> = {}): Decision => ({
  verdict,
  edits: [],
  recordRoute: false,
  cdr: null,
  authUser: null,
  ...more,
})

export const uriOf = (name: string): string => `sip:${name}@192.0.2.${NAMES.indexOf(name) + 1}:5060`
const NAMES = ['alice', 'bob', 'carol', 'dave']

/** Calls these, as `call.dial` or `call.fork` would. */
export const dial =
  (names: readonly string[], more: Partial<DialVerdict> = {}, rest: Partial<Decision> = {}) =>
  (): Decision =>
    decision(
      {
        do: 'dial',
        targets: names.map((name) => ({ uri: uriOf(name), nextHop: null })),
        strategy: 'parallel',
        timeoutMs: 30_000,
        rerouteOn: null,
        policy: 'transparent',
        timer: null,
        credentials: null,
        progress: [],
        ...more,
      },
      rest,
    )

/** As the script's host has it: what only a handler for requests decides, it decides after `call.proxy()`. */
function outcomeOf({ kind }: Job, decision: Decision): Outcome {
  const handedOn = kind === 'invite' && (decision.verdict.do === 'relay' || decision.verdict.do === 'fork')
  return { ok: true, decision, ...(handedOn ? { handedOn } : {}) }
}

/** A back-to-back user agent on a simulated network, and user agents around it that do what the test says. */
export function b2buaLab(options: B2buaLabOptions = {}) {
  const room: Lab = lab(options)
  const { clock, identifiers, spine, server, domain } = room
  const script: Script = { invite: dial(['bob']), ...options.script }
  const records: CallRecord[] = []
  const decided: CallDecided[] = []
  const legs: LegEnded[] = []
  spine.callEnded.subscribe((record) => records.push(record))
  spine.callDecided.subscribe((fact) => decided.push(fact))
  spine.legEnded.subscribe((fact) => legs.push(fact))
  const asked: Job[] = []
  const router: Router = {
    handles: (kind) => script[kind] !== undefined,
    reserve: () => ({
      release: () => undefined,
      decide: (job, done) => {
        asked.push(job)
        options.begins?.(job)
        const made = script[job.kind]
        clock.startTimer(options.thinks ?? 0, () =>
          done(
            made === undefined
              ? { ok: false, reason: 'no_handler', what: 'none' }
              : outcomeOf(job, made(job)),
          ),
        )
      },
    }),
  }
  const own = {
    isOurs: (host: string, port: number | null) => host === server.host && (port ?? 5060) === server.port,
    isLocalDomain: (host: string) => host === domain,
  }
  const transport = room.transport('siphon', server, (message, flow) => layer.onMessage(message, flow))
  const calls = new CallTracker({ clock, identifiers, spine })
  const dialogs = new ProxyDialogs({ clock })
  const resolver = tableOfHops(
    (name) => options.names?.[name] ?? [],
    (answer) => answer(),
  )
  const flowFor = (): undefined => undefined
  const shared = { clock, identifiers, spine, transport, router, own, calls, dialogs, resolver, flowFor }
  const proxy: ProxyCore = new ProxyCore({ ...shared, layer: () => layer })
  const b2bua: B2buaCore = new B2buaCore({
    ...shared,
    layer: () => layer,
    chance: () => 0.5,
    ...(options.ways === undefined ? {} : { ways: options.ways }),
    ...(options.gateways === undefined ? {} : { gateways: options.gateways }),
    ...(options.media === undefined ? {} : { media: options.media(clock, room) }),
  })
  const registrar = {
    save: () => {
      throw new Error('nobody registers here')
    },
  }
  const dispatch = new Dispatch({ ...shared, proxy, registrar, b2bua })
  const layer: TransactionLayer = new TransactionLayer({
    clock,
    identifiers,
    spine,
    transport,
    user: dispatch,
  })
  const agents = (options.agents ?? ['alice', 'bob', 'carol']).map((name) => new Agent(name, room))
  const agent = (name: string): Agent => {
    const found = agents.find((a) => a.name === name)
    if (found === undefined) throw new Error(`no ${name} here`)
    return found
  }
  const leftovers = (): string[] =>
    Object.entries({
      ...layer.counts,
      ...dispatch.levels,
      calls: calls.active,
      b2buaCalls: b2bua.calls,
      legs: b2bua.legs,
      dialogs: b2bua.dialogs,
      proxied: dialogs.size,
      held: b2bua.held,
      timers: clock.pendingTimers,
    })
      .filter(([, n]) => n > 0)
      .map(([name, n]) => `${name}: ${n}`)
  return {
    ...room,
    alice: agent('alice'),
    bob: agent('bob'),
    carol: agents.find((a) => a.name === 'carol') ?? agent('bob'),
    agents,
    records,
    decided,
    legs,
    asked,
    calls,
    b2bua,
    dispatch,
    layer,
    /** Lets every timer run out; then nothing of a call may be left: no leg, dialog, transaction or timer. */
    assertEmpty: () => {
      clock.advance(200_000)
      assert.deepEqual(leftovers(), [], room.ladder())
    },
  }
}
