import { TextMap } from '../base/text-map.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Request, Response } from '../sip/message/message.ts'
import type { Call, Ending } from './calls.ts'
import { PassedAnswers } from './passed-answers.ts'

/** 12 hours, as long as other proxies follow a dialog that never says BYE. */
export const DEFAULT_MAX_AGE_MS = 43_200_000

const NONE: readonly never[] = []

/** A dialog whose requests come through us because we record-routed it. */
export interface ProxyDialog {
  readonly key: string
  /** From tag of the INVITE: tells the caller's BYE from the callee's. */
  readonly callerTag: string
  readonly call: Call | null
  /** Attempts of the same INVITE that passed us before this one: it spiralled. They end with the dialog as well. */
  outer: readonly Call[]
  confirmed: boolean
  /** Monotonic milliseconds. */
  expiresAt: number
  timer: Timer | null
}

export interface ProxyDialogsOptions {
  readonly clock: Clock
  /** How long a dialog without Session-Expires is believed in after its last refresh. */
  readonly maxAgeMs?: number
}

/**
 * The record-routed dialogs the proxy follows: from the early dialog or the 2xx of an INVITE to the final response
 * of a BYE, the INVITE's failure, or expiry (Session-Expires of RFC 4028 §8.1 where there is one).
 */
export class ProxyDialogs {
  readonly #clock: Clock
  readonly #maxAgeMs: number
  readonly #dialogs = new TextMap<ProxyDialog>()
  readonly #passed: PassedAnswers

  constructor({ clock, maxAgeMs }: ProxyDialogsOptions) {
    this.#clock = clock
    this.#maxAgeMs = maxAgeMs ?? DEFAULT_MAX_AGE_MS
    this.#passed = new PassedAnswers(clock)
  }

  /** `siphon_proxy_dialog_sessions`. */
  get size(): number {
    return this.#dialogs.size
  }

  /** The dialog of an in-dialog request or its response, whichever side sends it. */
  find(message: Request | Response): ProxyDialog | undefined {
    const { fromTag, toTag } = message
    if (fromTag === undefined || toTag === undefined) return undefined
    return this.#dialogs.get(keyOf(message.callId, fromTag, toTag))
  }

  /** INVITEs of dialogs that are not followed whose ACK may come here nevertheless. */
  get unfollowed(): number {
    return this.#passed.size
  }

  /**
   * A 2xx to an INVITE passed that was not record-routed. Its dialog is followed all the same when the INVITE came by again
   * and was record-routed then.
   */
  passed(response: Response, call: Call | null): void {
    const dialog = this.find(response)
    if (dialog?.confirmed !== true) this.#passed.add(response)
    else if (call !== null) join(dialog, call)
  }

  /** The ACK is for a 2xx that passed here. Asked where no Route of ours says so. */
  awaits(ack: Request): boolean {
    return this.#passed.has(ack) || this.find(ack) !== undefined
  }

  /** A provisional response with a To tag passed. Null without one. Its end is the INVITE's: no timer. */
  early(response: Response, call: Call | null): ProxyDialog | null {
    return this.#open(response, call)
  }

  /** A 2xx to the INVITE passed. */
  confirm(response: Response, call: Call | null): ProxyDialog | null {
    const dialog = this.#open(response, call)
    if (dialog === null) return null
    if (!dialog.confirmed) {
      dialog.confirmed = true
      if (dialog.call !== null) dialog.call.dialogs++
      this.#expireIn(dialog, response)
    }
    if (call !== null) join(dialog, call)
    return dialog
  }

  /** A 2xx to a re-INVITE or UPDATE passed: it lives anew (RFC 4028 §8.2). */
  refresh(dialog: ProxyDialog, response: Response): void {
    if (dialog.confirmed && this.#dialogs.has(dialog.key)) this.#expireIn(dialog, response)
  }

  /** Ends a dialog, and its call when it was the call's last. The second time nothing happens. */
  end(dialog: ProxyDialog, ending: Ending): void {
    if (this.#dialogs.get(dialog.key) !== dialog) return
    this.#dialogs.delete(dialog.key)
    dialog.timer?.cancel()
    dialog.timer = null
    if (!dialog.confirmed) return
    if (dialog.call !== null) leave(dialog.call, ending)
    for (const call of dialog.outer) leave(call, ending)
  }

  /** The INVITE ended without it: an early dialog is gone, a confirmed one stays. */
  abandon(dialog: ProxyDialog): void {
    if (dialog.confirmed || this.#dialogs.get(dialog.key) !== dialog) return
    this.#dialogs.delete(dialog.key)
  }

  /** Forgets all, telling nobody. The calls' records are the call tracker's. */
  close(): void {
    for (const dialog of this.#dialogs.values()) dialog.timer?.cancel()
    this.#dialogs.clear()
    this.#passed.clear()
  }

  #open(response: Response, call: Call | null): ProxyDialog | null {
    const { fromTag, toTag } = response
    if (fromTag === undefined || toTag === undefined) return null
    const key = keyOf(response.callId, fromTag, toTag)
    const present = this.#dialogs.get(key)
    if (present !== undefined) return present
    const dialog = { key, callerTag: fromTag, call, outer: NONE, confirmed: false, expiresAt: 0, timer: null }
    this.#dialogs.set(key, dialog)
    return dialog
  }

  #expireIn(dialog: ProxyDialog, response: Response): void {
    const ms = sessionExpiresMs(response) ?? this.#maxAgeMs
    dialog.expiresAt = this.#clock.now() + ms
    dialog.timer?.cancel()
    dialog.timer = this.#clock.startTimer(ms, () =>
      this.end(dialog, { initiator: 'timeout', reason: null, seen: true }),
    )
  }
}

/** The confirmed dialog is one of the call's, too. */
function join(dialog: ProxyDialog, call: Call): void {
  if (dialog.call === call || dialog.outer.includes(call)) return
  dialog.outer = [...dialog.outer, call]
  call.dialogs++
}

/** One dialog less of the call's. */
function leave(call: Call, ending: Ending): void {
  call.dialogs--
  if (call.dialogs === 0) call.end(ending)
}

/** Tags in one order, so that both sides' requests give the same key. */
function keyOf(callId: string, oneTag: string, otherTag: string): string {
  return oneTag < otherTag ? `${callId}\n${oneTag}\n${otherTag}` : `${callId}\n${otherTag}\n${oneTag}`
}

/** Of `1800;refresher=uas`, milliseconds. Null when absent or no sensible number. */
function sessionExpiresMs(response: Response): number | null {
  const text = response.headers.first('session-expires')
  if (text === undefined) return null
  const seconds = Number.parseInt(text, 10)
  return seconds > 0 && seconds <= 2_000_000 ? seconds * 1000 : null
}
