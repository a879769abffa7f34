import assert from 'node:assert/strict'
import { B2buaCore } from '../../src/core/b2bua/b2bua-core.ts'
import { CallTracker } from '../../src/core/calls.ts'
import { Dispatch } from '../../src/core/dispatch.ts'
import { ProxyCore } from '../../src/core/proxy-core.ts'
import { ProxyDialogs } from '../../src/core/proxy-dialogs.ts'
import { RegistrarCore } from '../../src/core/registrar-core.ts'
import type { Decision, HandlerKind, Job, Router, Verdict } from '../../src/core/verdict.ts'
import type { CallDecided, CallRecord } from '../../src/spine/facts.ts'
import { TransactionLayer } from '../../src/stack/transaction-layer.ts'
import { lab, type Lab, type LabOptions } from './lab.ts'
import { tableOfHops } from './next-hops.ts'
import type { Phone } from './phone.ts'

export interface ProxyLabOptions extends LabOptions {
  /** Routes what begins a dialog. Default: to bob, on the path. In-dialog requests follow their route. */
  readonly script?: (job: Job) => Decision
  /** How long the script thinks, ms. */
  readonly thinks?: number
  readonly timerCMs?: number
  /** Addresses by name. */
  readonly names?: Readonly<Record<string, readonly string[]>>
}

export interface ProxyLab extends Lab {
  readonly alice: Phone
  readonly bob: Phone
  readonly carol: Phone
  readonly records: readonly CallRecord[]
  readonly decided: readonly CallDecided[]
  /** Lets all timers run out, then asserts that no table holds anything and no timer is left. */
  assertEmpty(): void
}

const decision = (verdict: Verdict): Decision => ({
  verdict,
  edits: [],
  recordRoute: true,
  cdr: null,
  authUser: null,
})

/** Calls the targets, record-routed. */
export const forkTo =
  (targets: readonly string[], strategy: 'parallel' | 'sequential' = 'parallel') =>
  (): Decision =>
    decision({ do: 'fork', targets, strategy })

export const BOB = 'sip:bob@192.0.2.2:5060'
export const CAROL = 'sip:carol@192.0.2.3:5060'

/** The engine's parts on a simulated network, with a script that answers after a while, and three phones. */
export function proxyLab(options: ProxyLabOptions = {}): ProxyLab {
  const room = lab(options)
  const { clock, identifiers, spine, domain, server } = room
  const script = options.script ?? forkTo([BOB])
  const records: CallRecord[] = []
  const decided: CallDecided[] = []
  spine.callEnded.subscribe((record) => records.push(record))
  spine.callDecided.subscribe((fact) => decided.push(fact))

  const own = {
    isOurs: (host: string, port: number | null) => host === server.host && (port ?? 5060) === server.port,
    isLocalDomain: (host: string) => host === domain,
  }
  const router: Router = {
    handles: (kind: HandlerKind) => kind === 'request',
    reserve: () => ({
      release: () => undefined,
      decide: (job, done) => {
        const inDialog = job.request.toTag !== undefined
        const run = (): void =>
          done({ ok: true, decision: inDialog ? decision({ do: 'relay', target: null }) : script(job) })
        clock.startTimer(options.thinks ?? 0, run)
      },
    }),
  }
  const transport = room.transport('siphon', server, (message, flow) => layer.onMessage(message, flow))
  const calls = new CallTracker({ clock, identifiers, spine })
  const dialogs = new ProxyDialogs({ clock })
  const proxy = new ProxyCore({
    clock,
    identifiers,
    transport,
    layer: () => layer,
    router,
    own,
    spine,
    resolver: tableOfHops(
      (name) => options.names?.[name] ?? [],
      (answer) => void clock.startTimer(0, answer),
    ),
    flowFor: () => undefined,
    ...(options.timerCMs === undefined ? {} : { timerCMs: options.timerCMs }),
  })
  const registrar = new RegistrarCore({
    clock,
    identifiers,
    spine,
    rules: { defaultExpires: 3600, minExpires: 60, maxExpires: 7200, maxContacts: 10 },
    isLocal: own.isLocalDomain,
  })
  const b2bua = new B2buaCore({
    clock,
    identifiers,
    spine,
    transport,
    router,
    calls,
    layer: () => layer,
    own,
    resolver: tableOfHops(
      () => [],
      (answer) => answer(),
    ),
    flowFor: () => undefined,
    chance: () => 0.5,
  })
  const dispatch = new Dispatch({
    b2bua,
    clock,
    identifiers,
    spine,
    transport,
    router,
    own,
    proxy,
    registrar,
    calls,
    dialogs,
  })
  const layer: TransactionLayer = new TransactionLayer({
    clock,
    identifiers,
    spine,
    transport,
    user: dispatch,
  })
  const phones = { alice: room.phone('alice'), bob: room.phone('bob'), carol: room.phone('carol') }
  return {
    ...room,
    ...phones,
    records,
    decided,
    assertEmpty: () => {
      // Longer than a call that nobody hangs up (none here) and every transaction's last timer.
      clock.advance(400_000)
      const left = {
        ...layer.counts,
        ...dispatch.levels,
        calls: calls.active,
        dialogs: dialogs.size,
        timers: clock.pendingTimers,
        phones: Object.values(phones).flatMap((p) => p.soft.calls).length,
      }
      assert.deepEqual(
        Object.entries(left).filter(([, n]) => n > 0),
        [],
        room.ladder(),
      )
    },
  }
}
