import type { Address } from '../../src/base/address.ts'
import { decodeBencode, encodeBencode, isDictionary, type Dictionary } from '../../src/base/bencode.ts'
import { MediaEngine } from '../../src/media/media-engine.ts'
import { BUILT_IN } from '../../src/media/profiles.ts'
import type { MediaResult, Signal } from '../../src/media/session.ts'
import type { CallRecord, MediaCommandDone, MediaEngineMoved } from '../../src/spine/facts.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { callRecord } from '../support/call-record.ts'
import { countingIdentifiers } from '../support/counting-identifiers.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** A command as an instance heard it. */
export interface Heard {
  readonly cookie: string
  readonly port: number
  readonly command: Dictionary
}

export type Answering = (command: Dictionary, heard: Heard) => Dictionary | null

export const OK: Dictionary = { result: 'ok', sdp: 'v=0\r\n' }
/** What an instance in good health answers. */
export const healthy: Answering = ({ command }) => (command === 'ping' ? { result: 'pong' } : OK)
export const silent: Answering = () => null

/** A media engine over a network that the test answers for; instances are at 10.0.0.1, ports 1, 2 … */
export function mediaLab({ instances = 1, weights = [] as readonly number[], intervalMs = 5_000 } = {}) {
  const clock = new FakeClock()
  const faults: unknown[] = []
  const spine = createSpine((_channel, error) => faults.push(error))
  const engine = new MediaEngine({
    clock,
    identifiers: countingIdentifiers(),
    spine,
    instances: Array.from({ length: instances }, (_, i) => ({
      address: { host: '10.0.0.1', port: i + 1 },
      weight: weights[i] ?? 1,
      timeoutMs: 1_000,
    })),
    healthIntervalMs: intervalMs,
    profiles: BUILT_IN,
  })
  const heard: Heard[] = []
  const answers = new Map<number, Answering>()
  const moved: MediaEngineMoved[] = []
  const done: MediaCommandDone[] = []
  spine.mediaEngineMoved.subscribe((fact) => moved.push(fact))
  spine.mediaCommandDone.subscribe((fact) => done.push(fact))
  engine.client.use(4, {
    send: (text, to) => {
      const cookie = text.slice(0, text.indexOf(' '))
      const command = decodeBencode(text.slice(cookie.length + 1))
      if (!isDictionary(command)) throw new Error(`the client sent what is no command: ${text}`)
      const one = { cookie, port: to.port, command }
      heard.push(one)
      const answer = (answers.get(to.port) ?? healthy)(command, one)
      // A round trip takes a millisecond.
      if (answer !== null) clock.startTimer(1, () => reply(to, cookie, answer))
    },
    close: () => Promise.resolve(),
  })
  const reply = (from: Address, cookie: string, answer: Dictionary): void =>
    engine.client.receive(`${cookie} ${encodeBencode(answer)}`, from.host, from.port)

  let calls = 0
  const start = (callId = `call-${++calls}`): string => {
    spine.callStarted.publish({ id: callId, callId })
    return callId
  }
  const records: CallRecord[] = []
  const end = (callId: string, changes: Partial<CallRecord> = {}): void => {
    const record = callRecord({ callId, ...changes })
    spine.callEnded.publish(record)
    engine.complete(record, (r) => records.push(r))
  }
  const signal = (callId: string, more: Partial<Signal> = {}): Signal => ({
    callId,
    fromTag: 'a',
    toTag: null,
    viaBranch: 'z9hG4bK1',
    sdp: 'v=0\r\n',
    profile: null,
    extras: {},
    ...more,
  })
  /** Settled results in order. */
  const results: MediaResult[] = []
  const offer = (callId: string, more: Partial<Signal> = {}): void =>
    engine.offer(signal(callId, more), (result) => results.push(result))
  const answer = (callId: string, more: Partial<Signal> = {}): void =>
    engine.answer(signal(callId, { toTag: 'b', ...more }), (result) => results.push(result))
  const commands = (name: string, port?: number): Heard[] =>
    heard.filter((h) => h.command['command'] === name && (port === undefined || h.port === port))
  return {
    ...{ clock, spine, engine, heard, answers, moved, done, reply, start, end, records, faults },
    ...{ signal, results, offer, answer, commands },
    empty: (): boolean => {
      const { sessions, calls: open, held } = engine.levels
      return sessions + open + held + engine.client.pending === 0
    },
  }
}
