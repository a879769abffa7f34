import { formatAddress, type Address } from '../base/address.ts'
import { decodeBencode, encodeBencode, isDictionary, type Dictionary } from '../base/bencode.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Identifiers } from '../base/identifiers.ts'
import type { Spine } from '../spine/spine.ts'

/** Where datagrams go: a bound UDP socket of the composition's. Text is binary text. */
export interface DatagramPort {
  send(text: string, to: Address): void
  close(): Promise<void>
}

/** `error`: the engine said no. `malformed`: what came back is no answer. */
export type NgOutcome = 'ok' | 'error' | 'timeout' | 'malformed'

export interface NgAnswer {
  readonly outcome: NgOutcome
  /** What was answered; empty unless `ok` or `error`. */
  readonly answer: Dictionary
  /** What went wrong, in one line; '' for `ok`. */
  readonly what: string
}

export interface NgClientOptions {
  readonly clock: Clock
  readonly identifiers: Identifiers
  readonly spine: Spine
}

/** A command is sent again after these shares of its time limit: 1/8, 3/8, 7/8. */
const REPEATS = [1 / 8, 1 / 4, 1 / 2] as const
const NOTHING: Dictionary = {}

interface Pending {
  readonly command: string
  readonly packet: string
  readonly to: Address
  readonly since: number
  readonly done: (answer: NgAnswer) => void
  deadline: Timer
  repeat: Timer | null
}

/**
 * The NG protocol's client: `<cookie> <bencoded dictionary>` over UDP. A repetition has the same cookie, so that an engine
 * that has done the work already answers from its memory. Answers that nobody waits for (late, doubled, from another
 * address) change nothing.
 */
export class NgClient {
  readonly #o: NgClientOptions
  readonly #prefix: string
  readonly #pending = new Map<string, Pending>()
  readonly #ports: Partial<Record<4 | 6, DatagramPort>> = {}
  #count = 0
  #strays = 0

  constructor(options: NgClientOptions) {
    this.#o = options
    this.#prefix = options.identifiers.tag()
  }

  /** Commands that wait for their answer. */
  get pending(): number {
    return this.#pending.size
  }

  /** Datagrams that were no answer to anything that waits. */
  get strays(): number {
    return this.#strays
  }

  /** Sends through this socket from now on to addresses of the family. Before it, commands run into their time limit. */
  use(family: 4 | 6, port: DatagramPort): void {
    this.#ports[family] = port
  }

  /** `done` is called once, never synchronously: with the answer, or after `timeoutMs`. */
  ask(to: Address, command: Dictionary, timeoutMs: number, done: (answer: NgAnswer) => void): void {
    const { clock } = this.#o
    const cookie = `${this.#prefix}${(this.#count++).toString(36)}`
    const pending: Pending = {
      command: String(command['command']),
      packet: `${cookie} ${encodeBencode(command)}`,
      to,
      since: clock.now(),
      done,
      deadline: clock.startTimer(timeoutMs, () =>
        this.#settle(cookie, 'timeout', NOTHING, `no answer within ${timeoutMs} ms`),
      ),
      repeat: null,
    }
    this.#pending.set(cookie, pending)
    this.#send(pending)
    this.#repeatIn(pending, timeoutMs, 0)
  }

  /** A datagram came. It is an answer only when its cookie is known and it comes from where the command went. */
  receive(text: string, host: string, port: number): void {
    const space = text.indexOf(' ')
    const cookie = space < 0 ? '' : text.slice(0, space)
    const pending = this.#pending.get(cookie)
    if (pending === undefined || pending.to.host !== host || pending.to.port !== port) {
      this.#strays++
      return
    }
    const answer = decodeBencode(text.slice(space + 1))
    if (!isDictionary(answer) || typeof answer['result'] !== 'string') {
      this.#settle(cookie, 'malformed', NOTHING, `${formatAddress(pending.to)} sent what is no answer`)
      return
    }
    const { result } = answer
    if (result === 'ok' || result === 'pong') this.#settle(cookie, 'ok', answer, '')
    else {
      const reason = answer['error-reason'] ?? answer['message']
      this.#settle(cookie, 'error', answer, typeof reason === 'string' ? reason : result)
    }
  }

  /** Nothing is sent or waited for any more; who waits is told that the time is over. */
  async close(): Promise<void> {
    for (const cookie of [...this.#pending.keys()]) {
      this.#settle(cookie, 'timeout', NOTHING, 'the server stops')
    }
    await Promise.all(Object.values(this.#ports).map((port) => port.close()))
    delete this.#ports[4]
    delete this.#ports[6]
  }

  #send({ packet, to }: Pending): void {
    this.#ports[to.host.includes(':') ? 6 : 4]?.send(packet, to)
  }

  #repeatIn(pending: Pending, timeoutMs: number, at: number): void {
    const share = REPEATS[at]
    if (share === undefined) return
    pending.repeat = this.#o.clock.startTimer(timeoutMs * share, () => {
      this.#send(pending)
      this.#repeatIn(pending, timeoutMs, at + 1)
    })
  }

  #settle(cookie: string, outcome: NgOutcome, answer: Dictionary, what: string): void {
    const pending = this.#pending.get(cookie)
    if (pending === undefined) return
    this.#pending.delete(cookie)
    pending.deadline.cancel()
    pending.repeat?.cancel()
    const { mediaCommandDone } = this.#o.spine
    if (mediaCommandDone.active) {
      const ms = this.#o.clock.now() - pending.since
      mediaCommandDone.publish({ command: pending.command, outcome, ms })
    }
    pending.done({ outcome, answer, what })
  }
}
