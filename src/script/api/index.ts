/** What `import { … } from 'siphon'` gives a script. The only face of the server that scripts see. */
export { cache } from './cache.ts'
export { auth } from './auth.ts'
export { b2bua } from './b2bua.ts'
export { cdr } from './cdr.ts'
export { gateway } from './gateway.ts'
export { log } from './log.ts'
export { metrics } from './metrics.ts'
export { proxy } from './proxy.ts'
export { rtpengine } from './rtpengine.ts'
export { sdp } from './sdp.ts'
export { registrar } from './registrar.ts'
export { security } from './security.ts'
export type { SaveOptions } from './registrar.ts'
export { ScriptError } from './script-error.ts'
export { timer } from './timer.ts'
export type { CacheOptions } from './cache.ts'
export type { Allowed, Authenticated, DigestAlgorithm, DigestOptions, RequireOptions } from './auth.ts'
export type {
  CallFailureHandler,
  CallReplyHandler,
  EndHandler,
  InviteHandler,
  OriginateOptions,
  ReferHandler,
} from './b2bua.ts'
export type { DialedCall, EndedCall, FailedCall, IncomingCall, ReferredCall } from './call-kinds.ts'
export type { CallAnswerOptions, CallForkOptions, DialOptions, SessionTimerOptions } from './call-options.ts'
export type { Contact } from './contact.ts'
export type { Destination } from './destination.ts'
export type { GroupOptions, NewDestination, SelectOptions } from './gateway.ts'
export type { Fields } from './log.ts'
export type { CancelHandler, FailureHandler, ReplyHandler, RequestHandler } from './proxy.ts'
export type { Reply } from './reply.ts'
export type { MediaOptions } from './media-options.ts'
export type {
  DtmfOptions,
  MediaCall,
  MediaFailure,
  MediaMessage,
  MediaRefusal,
  MediaReply,
  MediaResult,
  MediaValue,
  PartyOptions,
  PlayOptions,
} from './rtpengine.ts'
export type { Codec, Direction, Origin, Sdp, SdpCarrier, SdpMedia } from './sdp.ts'
export type { ForkOptions, ForwardedRequest, ReplyOptions, ScriptRequest } from './request.ts'
export type { ReceivedReply, SendRequestOptions } from './send-request.ts'
export type { TimerHandle, TimerOptions } from './timer.ts'
export type { Verdict } from './verdict.ts'
export type { Counter, Gauge, Histogram, HistogramOptions, LabelOptions } from '../../metrics/writer.ts'
