/**
 * One kind of fact and those who listen to it. `publish` runs the listeners at once, in order of subscription;
 * a listener that throws harms neither the publisher nor the others: it is reported and skipped.
 */
export class Channel<Fact> {
  readonly name: string
  readonly #onFault: (channel: string, error: unknown) => void
  #listeners: ((fact: Fact) => void)[] = []

  constructor(name: string, onFault: (channel: string, error: unknown) => void) {
    this.name = name
    this.#onFault = onFault
  }

  /** False when nobody listens: the publisher need not even make the fact. */
  get active(): boolean {
    return this.#listeners.length > 0
  }

  publish(fact: Fact): void {
    for (const listener of this.#listeners) {
      try {
        listener(fact)
      } catch (error) {
        this.#onFault(this.name, error)
      }
    }
  }

  /** Returns the function that ends the subscription. */
  subscribe(listener: (fact: Fact) => void): () => void {
    this.#listeners = [...this.#listeners, listener]
    return () => {
      this.#listeners = this.#listeners.filter((l) => l !== listener)
    }
  }
}
