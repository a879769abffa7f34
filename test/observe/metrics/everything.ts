import { declareProcess } from '../../../src/observe/metrics/process.ts'
import { declarePulled, type Levels } from '../../../src/observe/metrics/builtin.ts'
import { declareUdpDrops } from '../../../src/observe/metrics/udp-drops.ts'
import { startThreadProbe } from '../../../src/observe/metrics/probe.ts'
import { attachMetricsTap } from '../../../src/observe/metrics/tap.ts'
import { createSpine } from '../../../src/spine/spine.ts'
import { bench } from '../../metrics/support.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const LEVELS: Levels = {
  pool: { size: 2, max: 4, inflight: 1, queued: 0 },
  dialogSessions: 3,
  b2buaCalls: 2,
  b2buaLegs: 4,
  registrations: 4,
  contacts: 5,
  subscriptions: 1,
  natContacts: 2,
  registrarStore: { restored: 3, pending: 0, written: 4, failures: 1, dropped: 0, up: true },
  cdrSessions: 5,
  transactions: { inviteClient: 1, inviteServer: 2, nonInviteClient: 3, nonInviteServer: 4 },
  dialogs: 6,
  connections: [
    ['udp', 0],
    ['tcp', 7],
  ],
  certificates: [['default', 1_800_000_000]],
  calls: 8,
  bannedIps: 2,
  dnsCacheEntries: 11,
  scriptGeneration: 1,
  cdrRecords: [['file', 'delivered', 9]],
  cdrQueues: [['file', 0]],
  ownRequestsPending: 1,
  scriptTimers: 2,
  cacheEntries: [['sessions', 3]],
  cacheEvictions: [['sessions', 0]],
  gateways: [['carriers', 'carriers-1', true]],
  hepPackets: [['sent', 10]],
  hepQueued: 3,
  hepConnected: true,
  mediaSessions: 11,
  mediaInstances: [['127.0.0.1:2223', true]],
}

/** A reader with every metric the server has, as the composition root declares them. */
export function everything() {
  const { reader, writer } = bench()
  const engine = writer('engine', 'builtin')
  const spine = createSpine(() => {})
  attachMetricsTap(spine, engine)
  startThreadProbe(engine, new FakeClock()).stop()
  declareProcess(reader, { version: '0.1.0', startTime: 1_767_225_600.5 })
  declarePulled(reader, () => LEVELS)
  declareUdpDrops(reader, () => null)
  return { reader, writer, spine }
}
