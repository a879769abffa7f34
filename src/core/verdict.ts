import type { Path } from '../base/address.ts'
import type { Request, Response } from '../sip/message/message.ts'
import type { ScriptFailureReason } from '../spine/facts.ts'

/**
 * What a script may decide about a request, and the port through which the core asks it.
 * The script host implements `Router`; the core depends on nothing else of it.
 * All texts are binary text (a character a byte), ready to be put on the wire.
 */
export type Verdict =
  /**
   * Forward; `target` null means the Request-URI (or the Route set). `gateway` is the `memberKey` of the destination that
   * the target is of, when it is one's.
   */
  | { readonly do: 'relay'; readonly target: string | null; readonly gateway?: string | null }
  | {
      readonly do: 'fork'
      readonly targets: readonly string[]
      /** Which registered contact each target is (`ContactView.reference`); null and absent: none. */
      readonly contacts?: readonly (string | null)[]
      readonly strategy: 'parallel' | 'sequential'
      /** In the order of `targets`: those of gateways are next hops, and leave the Request-URI as it is. */
      readonly gateways?: readonly (string | null)[]
    }
  | {
      readonly do: 'reply'
      readonly code: number
      /** null: the standard phrase. */
      readonly reason: string | null
      readonly headers: readonly (readonly [string, string])[]
      readonly body: string | null
      readonly contentType: string | null
    }
  /** `registrar.save`: bind the contacts and answer (§10.3). */
  | { readonly do: 'save'; readonly force?: boolean; readonly nated?: boolean }
  /** `registrar.subscribe`: accept a SUBSCRIBE to the registrations of an address-of-record (RFC 3680). */
  | { readonly do: 'subscribe' }
  /** In onReply: pass the response on. In onFailure: send the best response upstream. */
  | { readonly do: 'pass' }
  /** In onReply: give up the forwarded INVITE, cancel its branches and answer this. */
  | { readonly do: 'reject'; readonly code: number; readonly reason: string | null }
  /** In onReply and onEarlyMedia: swallow the provisional response. */
  | { readonly do: 'drop' }
  | DialVerdict
  /** `call.answer`: answer the caller ourselves. */
  | {
      readonly do: 'answer'
      readonly code: number
      readonly reason: string | null
      readonly headers: readonly (readonly [string, string])[]
      readonly body: string | null
      readonly contentType: string | null
      readonly progress: readonly ProgressVerdict[]
    }
  /** `call.terminate`: hang up what is answered, refuse what is not. */
  | { readonly do: 'hangup' }
  /** `call.acceptRefer`: put the other party through; null: to whom the REFER says. */
  | {
      readonly do: 'transfer'
      readonly target: string | null
      readonly nextHop: string | null
      /** Which registered contact the target is (`ContactView.reference`); null and absent: none. */
      readonly contact?: string | null
    }
  /** `call.acceptReplaces`: the caller comes in the place of whom its Replaces names. */
  | { readonly do: 'takeover' }
  /** `call.proxy`: `proxy.onRequest` decides. Never leaves the worker. */
  | { readonly do: 'proxy' }

/** `call.dial` and `call.fork`: as a back-to-back user agent. */
export interface DialVerdict {
  readonly do: 'dial'
  readonly targets: readonly {
    readonly uri: string
    readonly nextHop: string | null
    /** Which registered contact it is (`ContactView.reference`); null and absent: none that the script has named. */
    readonly contact?: string | null
    /** The `memberKey` of the gateway's destination that it is; null and absent: none. */
    readonly gateway?: string | null
  }[]
  readonly strategy: 'parallel' | 'sequential'
  /** Each destination's, ms; null: no limit of ours. */
  readonly timeoutMs: number | null
  /** Statuses after which the next in sequence is tried; null: any below 600. */
  readonly rerouteOn: readonly number[] | null
  readonly policy: 'transparent' | 'strict'
  readonly timer: SessionTimerVerdict | null
  /** With what challenges of the callees are answered; null: they are refusals. */
  readonly credentials: {
    readonly user: string
    readonly password: string
    /** The only realm that gets an answer; null: whichever asks. */
    readonly realm: string | null
  } | null
  readonly progress: readonly ProgressVerdict[]
}

export interface SessionTimerVerdict {
  /** Seconds; null: none is asked for. */
  readonly expires: number | null
  readonly minSe: number
  readonly refresher: 'uac' | 'uas'
}

/** A provisional response of our own, sent before the verdict is carried out. */
export interface ProgressVerdict {
  readonly code: number
  readonly reason: string | null
  readonly body: string | null
  readonly contentType: string | null
}

/** A change of the message, in the order the script made them. */
export type Edit =
  | readonly ['set', name: string, value: string]
  | readonly ['add', name: string, value: string]
  /** Before those of the same name. */
  | readonly ['prepend', name: string, value: string]
  | readonly ['remove', name: string]
  | readonly ['ruri', uri: string]
  | readonly ['body', body: string, contentType: string | null]

export interface Decision {
  readonly verdict: Verdict
  readonly edits: readonly Edit[]
  /** `request.recordRoute()` was called. */
  readonly recordRoute: boolean
  /** `request.addPath()` was called: stay in the way of requests to the contacts (RFC 3327). `force`: for phones that do not know it, too. */
  readonly addPath?: 'if supported' | 'force' | null
  /** `cdr.write` was called: JSON text of the object to merge into `extra` ('{}' when no field was given). */
  readonly cdr: string | null
  readonly authUser: string | null
}

export type Outcome = (
  | { readonly ok: true; readonly decision: Decision }
  | { readonly ok: false; readonly reason: ScriptFailureReason; readonly what: string }
) & {
  /** Of an `invite` job: `call.proxy()` gave it to `proxy.onRequest`, which has decided, or failed. */
  readonly handedOn?: true
}

export type HandlerKind = 'request' | 'reply' | 'failure' | 'cancel' | CallHandlerKind

/** Handlers of `b2bua`. */
export type CallHandlerKind = 'invite' | 'early' | 'answered' | 'refused' | 'bye' | 'calledOff' | 'refer'

/** What the handlers of `b2bua` know of a call besides its INVITE. */
export interface CallInfo {
  readonly id: string
  readonly state: 'calling' | 'answered' | 'over'
  /** Who hung up, or who sent the REFER. */
  readonly side: 'caller' | 'callee' | 'server' | null
  /** Of a REFER: the URI in Refer-To, without what it says about header fields. */
  readonly referTo: string | null
  /** Of a REFER: its Refer-To has Replaces. Of the INVITE: it has Replaces. */
  readonly replaces: boolean
}

/** One run of a handler. */
export interface Job {
  readonly kind: HandlerKind
  /** The request as received, or as last edited (`failure`, `reply`). */
  readonly request: Request
  readonly response: Response | null
  /** Where the request came from. */
  readonly path: Path
  /** From the receipt of the request to this job, ms. */
  readonly elapsedMs: number
  /** §16.4 found and removed a Route of ours, or a strict router's Request-URI: `looseRoute()` is true. */
  readonly routeConsumed: boolean
  /** For handlers of `b2bua`. */
  readonly call?: CallInfo | undefined
}

export interface Reservation {
  /**
   * Runs the handlers that match. `done` is called exactly once, never synchronously: with the verdict, or with the
   * failure after an exception, the time limit, or a lost worker.
   */
  decide(job: Job, done: (outcome: Outcome) => void): void
  /** Gives the place back without a run. */
  release(): void
}

export interface Router {
  /**
   * Asked before any state exists. Null means saturated: refuse the request and forget it.
   * `in-dialog` jobs draw on a share that `initial` ones cannot take, so that overload cannot keep calls from ending.
   * @param stream the request came over a stream: neither streams nor datagrams can take all places of `initial` ones
   */
  reserve(share: 'initial' | 'in-dialog', method: string, stream?: boolean): Reservation | null
  /** Whether the script declared a handler of this kind for this method. */
  handles(kind: HandlerKind, method: string): boolean
}

/** What the script host may ask of the location store, synchronously on the engine thread. */
export interface LocationView {
  /** Unexpired contacts of the address-of-record in `uri`, highest q first, newest first among equals. */
  lookup(uri: string): readonly ContactView[]
}

/** A contact as scripts see it. */
export interface ContactView {
  readonly uri: string
  /** 0 … 1 (§20.10). */
  readonly q: number
  /** Seconds until it expires. */
  readonly expires: number
  /** `ip:port` the REGISTER came from. */
  readonly received: string
  readonly userAgent: string | null
  /** Whole seconds since the last REGISTER that named it. */
  readonly ageSecs: number
  /** The Path vector, topmost first (RFC 3327). */
  readonly path: readonly string[]
  /** `urn:uuid:…` of the device (RFC 5626 §4.1). */
  readonly instance: string | null
  readonly regId: number | null
  /** By which the engine finds the binding again. */
  readonly reference: string
}
