import type { Address } from '../base/address.ts'
import { formatAddress } from '../base/address.ts'
import { type Clock, systemClock, type Timer } from '../base/clock.ts'
import { randomIdentifiers } from '../base/identifiers.ts'
import { createSpine, type Spine } from '../spine/spine.ts'
import { TransportLayer } from '../stack/transport-layer.ts'
import { type IncomingCall, OutgoingCall } from './soft-call.ts'
import { SoftPhone } from './soft-phone.ts'

export interface DemoPhonesOptions {
  /** Where SIPhon listens over UDP, on this machine. */
  readonly server: Address
  /** A domain the server is registrar for. */
  readonly domain: string
  /** More than 0, up to 1,000. */
  readonly callsPerSecond: number
  readonly log: (line: string) => void
}

export interface DemoPhones {
  /** Starts no more calls, hangs up, takes the registrations back: at most four seconds. */
  stop(): Promise<void>
}

/** Of a hundred calls, so many are refused as busy, so many are given up while ringing; the rest are answered. */
const BUSY_SHARE = 0.15
const GIVEN_UP_SHARE = 0.1
const TALK_MS = { least: 1_000, most: 5_000 }
const EXPIRES_SECS = 300
const RETRY_MS = 5_000
/** How often the log tells what went on. */
const REPORT_MS = 10_000
const STOP_MS = 2_000
const LOOK_MS = 20

interface Demo {
  readonly clock: Clock
  readonly log: (line: string) => void
  readonly counts: Map<string, number>
  stopped: boolean
}

/** One phone with a socket of its own. */
interface OpenPhone {
  readonly phone: SoftPhone
  readonly transport: TransportLayer
  refresh: Timer | null
}

/** Two simulated phones, alice and bob, that register and call each other until they are stopped. */
export function startDemoPhones({ server, domain, callsPerSecond, log }: DemoPhonesOptions): DemoPhones {
  const demo: Demo = { clock: systemClock, log, counts: new Map(), stopped: false }
  const { clock } = demo
  const phones: OpenPhone[] = []
  let next: Timer | null = null
  let report: Timer | null = null

  const call = (count: number): void => {
    const [from, to] = count % 2 === 0 ? phones : phones.toReversed()
    if (demo.stopped || from === undefined || to === undefined) return
    place(demo, from.phone, to.phone)
    next = clock.startTimer(1_000 / callsPerSecond, () => call(count + 1))
  }
  const tell = (): void => {
    if (demo.counts.size > 0) log(`last ${REPORT_MS / 1000} s: ${summary(demo.counts)}`)
    demo.counts.clear()
    report = clock.startTimer(REPORT_MS, tell)
  }
  const begin = (): void => {
    if (demo.stopped) return
    log(`${phones.map(({ phone }) => phone.aor).join(' and ')} are registered and call each other`)
    report = clock.startTimer(REPORT_MS, tell)
    call(0)
  }
  const open = async (): Promise<void> => {
    for (const user of ['alice', 'bob']) phones.push(await openPhone(demo, user, domain, server))
    if (demo.stopped) return
    let registered = 0
    for (const one of phones) keepRegistered(demo, one, () => ++registered === phones.length && begin())
  }
  const opening = open().catch((error: unknown) =>
    log(`the phones cannot start: ${error instanceof Error ? error.message : String(error)}`),
  )
  let stopping: Promise<void> | null = null
  const stop = async (): Promise<void> => {
    demo.stopped = true
    next?.cancel()
    report?.cancel()
    await opening
    await closePhones(demo, phones)
    log('the phones have stopped')
  }
  return { stop: () => (stopping ??= stop()) }
}

/** Ends every call, then takes the registrations back, each within `STOP_MS`, and closes the sockets. */
async function closePhones({ clock }: Demo, phones: readonly OpenPhone[]): Promise<void> {
  for (const { phone, refresh } of phones) {
    refresh?.cancel()
    for (const call of phone.calls) {
      call.bye()
      if (call instanceof OutgoingCall) call.cancel()
    }
  }
  await quiet(clock, phones)
  for (const { phone } of phones) phone.register(0)
  await quiet(clock, phones)
  for (const { phone } of phones) phone.close()
  await Promise.all(phones.map(({ transport }) => transport.close()))
}

/** Resolves when nothing is under way on any phone, or after `STOP_MS`. */
function quiet(clock: Clock, phones: readonly OpenPhone[]): Promise<void> {
  const until = clock.now() + STOP_MS
  return new Promise((done) => {
    const look = (): void => {
      if (phones.every(({ phone }) => phone.quiet) || clock.now() >= until) done()
      else clock.startTimer(LOOK_MS, look)
    }
    look()
  })
}

async function openPhone(demo: Demo, user: string, domain: string, server: Address): Promise<OpenPhone> {
  const { clock } = demo
  const identifiers = randomIdentifiers()
  const spine = quietSpine(demo)
  let phone: SoftPhone | null = null
  const transport = new TransportLayer({
    clock,
    identifiers,
    spine,
    onMessage: (message, flow) => phone?.onMessage(message, flow),
    onFlowClosed: () => undefined,
  })
  const host = server.host.includes(':') ? '::1' : '127.0.0.1'
  const address = await transport.listen({ protocol: 'udp', address: { host, port: 0 }, advertise: null })
  demo.log(`${user} is at ${formatAddress(address)}`)
  const options = { clock, identifiers, spine, transport, user, domain, address, server }
  phone = new SoftPhone({ ...options, onCall: (incoming) => pickUp(incoming) })
  return { phone, transport, refresh: null }
}

/** Registers, again before it expires, and again soon when refused; `begin` is called at the first success. */
function keepRegistered(demo: Demo, one: OpenPhone, begin: () => void): void {
  one.phone.register(EXPIRES_SECS, (status) => {
    if (demo.stopped) return
    const registered = status < 300
    if (!registered) {
      demo.log(`${one.phone.aor} was not registered: ${status}; trying again in ${RETRY_MS / 1000} s`)
    }
    const wait = registered ? EXPIRES_SECS * 500 : RETRY_MS
    const then = registered ? () => undefined : begin
    one.refresh = demo.clock.startTimer(wait, () => keepRegistered(demo, one, then))
    if (registered) begin()
  })
}

/** The caller's side of one call. */
function place(demo: Demo, from: SoftPhone, to: SoftPhone): void {
  const call: OutgoingCall = from.invite(to.aor)
  const givesUp = Math.random() < GIVEN_UP_SHARE
  let talk: Timer | null = null
  call.onMoved = (state) => {
    // Ringing is long enough for it: see `pickUp`.
    if (state === 'ringing' && givesUp) call.cancel()
    if (state === 'answered') {
      const { least, most } = TALK_MS
      talk = demo.clock.startTimer(least + Math.random() * (most - least), () => call.bye())
    }
    if (state === 'ended') {
      talk?.cancel()
      const what = outcome(call.status)
      demo.counts.set(what, (demo.counts.get(what) ?? 0) + 1)
    }
  }
}

/** The called side of one call. */
function pickUp(call: IncomingCall): void {
  if (Math.random() < BUSY_SHARE) call.answer([{ status: 486, afterMs: 0 }])
  else {
    call.answer([
      { status: 180, afterMs: 0 },
      { status: 200, afterMs: 100 + Math.random() * 400 },
    ])
  }
}

function outcome(status: number): string {
  if (status < 300) return 'answered'
  if (status === 486) return 'busy'
  return status === 487 ? 'cancelled' : `failed with ${status}`
}

function summary(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([what, count]) => `${count} ${what}`).join(', ')
}

/** The phones' own faults are worth a line; the rest of what they state nobody reads. */
function quietSpine({ log }: Demo): Spine {
  const spine = createSpine((channel, error) => log(`demo ${channel}: ${String(error)}`))
  spine.logged.subscribe(({ level, text }) => {
    if (level === 'error') log(`demo: ${text}`)
  })
  return spine
}
