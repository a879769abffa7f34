import type { Crossing } from '../../sip/b2bua/bridge-user.ts'
import type { Content } from '../../sip/b2bua/events.ts'

/** A media relay, as far as calls need it once a script has put theirs through it. */
export interface MediaRelay {
  /**
   * Whether it has the media of this call.
   * @param branch of whom an answer must have been put through it; null: of anybody, or nobody yet
   */
  has(callId: string, branch: string | null): boolean
  /**
   * Of a call whose first offer is the callee's, and shall go through the relay: how often this callee's has been put
   * through. Null: of any other call.
   */
  awaited(callId: string, branch: string): number | null
  /** @param done called once: what the other party shall see; null when the relay does not give it */
  exchange(
    callId: string,
    crossing: Omit<Crossing, 'content'>,
    sdp: string,
    done: (sdp: string | null) => void,
  ): void
  /** Two parties that were being put together are, in the place of those before, or are not. */
  paired(callId: string, pair: number, kept: boolean): void
}

/** What of one call goes through the relay. */
export class CallMedia {
  readonly #relay: MediaRelay | null
  readonly #callId: string
  /** Runs `work` as an input of the machines. */
  readonly #input: (work: () => void) => void
  /** Callees whose first offer, as the script has left it, is the relay's already; by our tag on the leg. */
  readonly #through = new Set<string>()

  constructor(relay: MediaRelay | null, callId: string, input: (work: () => void) => void) {
    this.#relay = relay
    this.#callId = callId
    this.#input = input
  }

  /** How often the first offer of this callee has been put through; null: its offer is not waited for. */
  awaited(branch: string | null): number | null {
    return this.#relay === null || branch === null ? null : this.#relay.awaited(this.#callId, branch)
  }

  /** A script has let a response of this callee pass. @param before `awaited` when it was asked */
  passed(branch: string | null, before: number | null): void {
    if (branch !== null && (this.awaited(branch) ?? 0) > (before ?? 0)) this.#through.add(branch)
  }

  /** Media that a script has put through the relay stays there, whatever the parties agree on later. */
  relay({ content, ...crossing }: Crossing, done: (content: Content | null) => void): void {
    const relay = this.#relay
    if (relay === null) return done(content)
    const { branch, early } = crossing
    const delayed = this.awaited(branch) !== null
    // The script has seen to it by itself.
    if (delayed && early && crossing.what === 'offer' && this.#through.delete(branch)) return done(content)
    // Before the answer it is the script's affair whose descriptions go through the relay.
    if (!delayed && !relay.has(this.#callId, early ? branch : null)) return done(content)
    // A part of a body cannot be told from the whole here: what is not plainly SDP does not pass the relay by.
    if (!isSdp(content)) return done(null)
    return relay.exchange(this.#callId, crossing, content.body, (sdp) =>
      this.#input(() => done(sdp === null ? null : { ...content, body: sdp })),
    )
  }

  paired(pair: number, kept: boolean): void {
    this.#relay?.paired(this.#callId, pair, kept)
  }
}

function isSdp({ fields }: Content): boolean {
  return fields.some(
    ([name, value]) => /^(content-type|c)$/i.test(name) && /^application\/sdp\b/i.test(value),
  )
}
