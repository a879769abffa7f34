import type { MediaFigures } from '../spine/facts.ts'
import { figuresOf } from './figures.ts'
import type { Instance } from './instance.ts'
import type { NgClient } from './ng-client.ts'
import type { Prober } from './prober.ts'
import type { Session } from './session.ts'

/** Sessions that are over, until they are deleted at their instances. */
export class Departures {
  readonly #client: NgClient
  readonly #prober: Prober
  readonly #leaving = new Map<string, Session>()
  #onIdle: (() => void) | null = null

  constructor(client: NgClient, prober: Prober) {
    this.#client = client
    this.#prober = prober
  }

  get size(): number {
    return this.#leaving.size
  }

  /** @param name at its instance */
  find(name: string): Session | undefined {
    return this.#leaving.get(name)
  }

  /** Deletes it as soon as nothing is under way for it: a `delete` that overtakes an `offer` deletes nothing. */
  add(session: Session, onFigures: (figures: MediaFigures | null) => void): void {
    session.over = true
    session.onFigures = onFigures
    this.#leaving.set(session.name, session)
    this.proceed(session)
  }

  /** A command about the session has ended. */
  proceed(session: Session): void {
    if (!session.over || session.busy > 0 || session.deleting) return
    session.deleting = true
    const { instance, name, callerTag } = session
    const gone = (): void => {
      this.#leaving.delete(name)
      for (const tell of session.onGone) tell()
      if (this.#leaving.size === 0) this.#onIdle?.()
    }
    if (!session.established) {
      session.onFigures(null)
      this.tell(instance, name, gone)
      return
    }
    // First the figures, then the end: what `delete` alone says depends on the tags it is asked for.
    const query = { command: 'query', 'call-id': name }
    this.#client.ask(instance.address, query, instance.timeoutMs, (answer) => {
      this.#prober.judge(instance, answer)
      session.onFigures(answer.outcome === 'ok' ? figuresOf(answer.answer, instance.name, callerTag) : null)
      this.tell(instance, name, gone)
    })
  }

  /** `delete` of the whole call, at once instead of after rtpengine's half minute. */
  tell(instance: Instance, name: string, done: () => void = () => undefined): void {
    const command = { command: 'delete', 'call-id': name, 'delete delay': 0 }
    this.#client.ask(instance.address, command, instance.timeoutMs, (answer) => {
      this.#prober.judge(instance, answer)
      done()
    })
  }

  /** Calls back when none is left; at once when there is none. */
  whenIdle(done: () => void): void {
    if (this.#leaving.size === 0) done()
    else this.#onIdle = done
  }
}
