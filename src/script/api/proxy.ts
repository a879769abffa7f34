import { registry, type AnyHandler } from './registry.ts'
import type { ForwardedRequest, ScriptRequest } from './request.ts'
import type { Reply } from './reply.ts'
import type { RunKind } from '../conversation.ts'
import { show } from './checks.ts'
import { memoryUsedPct, rateLimit, sanityCheck } from './guards.ts'
import { ScriptError } from './script-error.ts'
import { sendRequest } from './send-request.ts'
import type { Verdict } from './verdict.ts'

/** Decides a request by returning a verdict; every path must return one. */
export type RequestHandler = (request: ScriptRequest) => Verdict | Promise<Verdict>
/** Decides a response: `reply.relay()`, `reply.reject()`, `reply.drop()` or `reply.next()`. */
export type ReplyHandler = (request: ForwardedRequest, reply: Reply) => Verdict | Promise<Verdict>
/** Decides what follows when every branch failed: `reply.relay()`, or `request.relay()`, `fork()`, `reply()` for another try. */
export type FailureHandler = (request: ScriptRequest, reply: Reply) => Verdict | Promise<Verdict>
/** Is told that the caller gave up before an answer. There is nothing to decide. */
export type CancelHandler = (request: ForwardedRequest) => void | Promise<void>

export const proxy = {
  /**
   * Declares a handler for requests: all of them, or those of the methods in `'INVITE|REGISTER'`. Several handlers that
   * match run in order of declaration: the first decides, unless it returns `request.next()`.
   */
  onRequest: declare<RequestHandler>('request', 'onRequest'),

  /** Declares a handler for the responses to requests that a script forwarded, 100 excepted. */
  onReply: declare<ReplyHandler>('reply', 'onReply'),

  /** Declares a handler for forwarded requests that got no 2xx on any branch. `reply` is the best response (§16.7 step 6). */
  onFailure: declare<FailureHandler>('failure', 'onFailure'),

  /** Declares a handler for INVITEs that are cancelled before their final response. */
  onCancel: declare<CancelHandler>('cancel', 'onCancel'),

  /**
   * Sends a request of our own outside of any dialog (RFC 3261 §8.1), with a Call-ID, tag, CSeq and Via of its own, and waits
   * for its final response: null when none comes in time, or there is no way to it. INVITE is refused: an answered one is a
   * call, and calls are `b2bua.originate`'s.
   * @throws ScriptError for what cannot be sent, and when 10,000 are under way
   */
  sendRequest,

  /**
   * Counts the request against its source address, and tells whether there were at most `max` in the last `windowSecs`
   * (above 0 to 86,400 s). All workers count together. What is beyond counts too, so a source that does not stop stays out.
   * Two counters a source stand for the window: a steady rate is counted right but for one, a burst as if it had been spread evenly. `await` it: a promise is always true.
   */
  rateLimit,

  /**
   * Whether the request has what RFC 3261 §8.1.1 demands: Via, From with a tag, To, Call-ID, a CSeq of its method,
   * Max-Forwards above 0, a Content-Length that fits. The server has refused what it cannot process before any handler runs;
   * this also finds what it tolerates, such as a From without a tag.
   */
  sanityCheck,

  /** Resident memory of the whole process in percent of what it may have (container limit, else the machine's), 0 … 100. */
  memoryUsedPct,
}

interface Declare<Handler> {
  (handler: Handler): void
  (methods: string, handler: Handler): void
}

function declare<Handler extends AnyHandler>(kind: RunKind, verb: string): Declare<Handler> {
  return (first: Handler | string, second?: Handler) => {
    const handler = typeof first === 'string' ? second : first
    const filter = typeof first === 'string' ? methods(verb, first) : null
    const name = filter === null ? verb : `${verb}(${filter.join('|')})`
    if (typeof handler !== 'function')
      throw new ScriptError(`proxy.${verb} needs a function, not ${show(handler)}`)
    registry.add(kind, filter, name, handler)
  }
}

function methods(verb: string, filter: string): string[] {
  const names = filter.split('|').map((name) => name.trim().toUpperCase())
  if (names.some((name) => !/^[A-Z0-9\-.!%*_+`'~]+$/.test(name))) {
    throw new ScriptError(`proxy.${verb}: ${show(filter)} is not a list of methods such as 'INVITE|REGISTER'`)
  }
  return names
}
