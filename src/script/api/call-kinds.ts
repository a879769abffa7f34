import type { ScriptCall } from './call.ts'

/** What a script may do with a call depends on how far it is: each handler of `b2bua` gets one of these. */

type Verbs =
  | 'dial'
  | 'fork'
  | 'reject'
  | 'answer'
  | 'progress'
  | 'terminate'
  | 'proxy'
  | 'acceptReplaces'
  | 'acceptRefer'
  | 'rejectRefer'
  | 'sessionTimer'
  | 'setCredentials'
type Internals = 'received' | 'proven' | 'spend' | 'demands'
type Setters =
  | 'setHeader'
  | 'addHeader'
  | 'removeHeader'
  | 'setBody'
  | 'setFromUser'
  | 'setFromHost'
  | 'setFromDisplay'
  | 'setToUser'
  | 'setToHost'
  | 'setCallerId'

/** A call whose caller waits: `dial`, `fork`, `answer`, `reject` or `proxy` it. */
export type IncomingCall = Omit<ScriptCall, 'terminate' | 'acceptRefer' | 'rejectRefer'>
/** A call that has been dialled and not been answered to the caller. */
export type DialedCall = Omit<ScriptCall, Exclude<Verbs, 'reject' | 'terminate'> | Setters | Internals>
/** A call nobody took: another try, or a refusal. */
export type FailedCall = Omit<
  ScriptCall,
  Exclude<Verbs, 'dial' | 'fork' | 'reject' | 'sessionTimer' | 'setCredentials' | 'progress'>
>
/** A call of which one party wants to put the other through. */
export type ReferredCall = Omit<
  ScriptCall,
  Exclude<Verbs, 'acceptRefer' | 'rejectRefer'> | Setters | Internals
>
/** A call that is over, and has its record: `cdr.write` comes too late. */
export type EndedCall = Omit<ScriptCall, Verbs | Setters | Internals | 'next' | 'addToRecord'>
