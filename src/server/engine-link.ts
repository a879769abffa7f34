import type { Transferable } from 'node:worker_threads'
import type { FromEngine, Question, Questions, ToEngine } from './conversation.ts'

/** How long an answer of the engine may take before the one who asked is told that there is none. */
const ANSWER_DEADLINE_MS = 5_000

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** What can carry messages to the engine: its Worker, or a port. */
export interface EnginePost {
  postMessage(message: ToEngine, transfer?: readonly Transferable[]): void
}

/** The control thread's side of the questions: each gets its answer, a refusal, or an error after 5 s. */
export class EngineLink {
  readonly #post: EnginePost
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  constructor(post: EnginePost) {
    this.#post = post
  }

  ask<Q extends Question>(question: Q, argument: Questions[Q]['ask']): Promise<Questions[Q]['answer']> {
    return new Promise<unknown>((resolve, reject) => {
      const id = ++this.#last
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Error(`the engine did not answer '${question}' within ${ANSWER_DEADLINE_MS} ms`))
      }, ANSWER_DEADLINE_MS)
      this.#waiting.set(id, { resolve, reject, timer })
      this.#post.postMessage({ what: 'ask', id, question, argument })
    }) as Promise<Questions[Q]['answer']>
  }

  /** Takes an answer; false when the message is none. */
  receive(message: FromEngine): boolean {
    if (message.what !== 'answer' && message.what !== 'refused') return false
    const waiting = this.#waiting.get(message.id)
    if (!waiting) return true
    this.#waiting.delete(message.id)
    clearTimeout(waiting.timer)
    if (message.what === 'answer') waiting.resolve(message.value)
    else waiting.reject(new Error(message.why))
    return true
  }

  /** The engine is gone: everybody who waits is told. */
  fail(why: string): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(new Error(why))
    }
    this.#waiting.clear()
  }
}
