import { Channel } from './channel.ts'
import type {
  AuthBackendAsked,
  Authenticated,
  Banned,
  CallDecided,
  CallRecord,
  CallStarted,
  DnsAsked,
  Dropped,
  FlowMoved,
  GatewayEnded,
  GatewayNamed,
  GatewayResponded,
  HopFailedOver,
  HandshakeFailed,
  InviteUnacknowledged,
  KeptAlive,
  LegEnded,
  LogLine,
  MediaCommandDone,
  MediaEngineMoved,
  MessageCrossed,
  MessageFaulted,
  OwnRequestEnded,
  Notified,
  RegistrationChanged,
  Retransmitted,
  ScriptFailed,
  ScriptJobDone,
  ScriptJobShed,
  ScriptServes,
  ServerMoved,
} from './facts.ts'

/** Every channel of one engine. The call path publishes and never knows who listens. */
export interface Spine {
  readonly messageReceived: Channel<MessageCrossed>
  readonly messageSent: Channel<MessageCrossed>
  readonly messageFaulted: Channel<MessageFaulted>
  readonly retransmitted: Channel<Retransmitted>
  readonly dnsAsked: Channel<DnsAsked>
  readonly hopFailedOver: Channel<HopFailedOver>
  readonly flowOpened: Channel<FlowMoved>
  readonly flowClosed: Channel<FlowMoved>
  readonly handshakeFailed: Channel<HandshakeFailed>
  readonly callStarted: Channel<CallStarted>
  readonly callDecided: Channel<CallDecided>
  readonly callEnded: Channel<CallRecord>
  readonly legEnded: Channel<LegEnded>
  readonly registrationChanged: Channel<RegistrationChanged>
  readonly authenticated: Channel<Authenticated>
  readonly authBackendAsked: Channel<AuthBackendAsked>
  readonly mediaEngineMoved: Channel<MediaEngineMoved>
  readonly mediaCommandDone: Channel<MediaCommandDone>
  readonly keptAlive: Channel<KeptAlive>
  readonly notified: Channel<Notified>
  readonly scriptServes: Channel<ScriptServes>
  readonly scriptJobDone: Channel<ScriptJobDone>
  readonly scriptJobShed: Channel<ScriptJobShed>
  readonly scriptFailed: Channel<ScriptFailed>
  /** A gateway was added: the series of it begin. */
  readonly gatewayAdded: Channel<GatewayNamed>
  readonly gatewayEnded: Channel<GatewayEnded>
  readonly gatewayResponded: Channel<GatewayResponded>
  readonly ownRequestEnded: Channel<OwnRequestEnded>
  readonly inviteUnacknowledged: Channel<InviteUnacknowledged>
  readonly dropped: Channel<Dropped>
  readonly banned: Channel<Banned>
  readonly logged: Channel<LogLine>
  readonly serverMoved: Channel<ServerMoved>
}

/** @param onFault told of every listener that threw */
export function createSpine(onFault: (channel: string, error: unknown) => void): Spine {
  return {
    messageReceived: new Channel('messageReceived', onFault),
    messageSent: new Channel('messageSent', onFault),
    messageFaulted: new Channel('messageFaulted', onFault),
    retransmitted: new Channel('retransmitted', onFault),
    dnsAsked: new Channel('dnsAsked', onFault),
    hopFailedOver: new Channel('hopFailedOver', onFault),
    flowOpened: new Channel('flowOpened', onFault),
    flowClosed: new Channel('flowClosed', onFault),
    handshakeFailed: new Channel('handshakeFailed', onFault),
    callStarted: new Channel('callStarted', onFault),
    callDecided: new Channel('callDecided', onFault),
    callEnded: new Channel('callEnded', onFault),
    legEnded: new Channel('legEnded', onFault),
    registrationChanged: new Channel('registrationChanged', onFault),
    authenticated: new Channel('authenticated', onFault),
    authBackendAsked: new Channel('authBackendAsked', onFault),
    mediaEngineMoved: new Channel('mediaEngineMoved', onFault),
    mediaCommandDone: new Channel('mediaCommandDone', onFault),
    keptAlive: new Channel('keptAlive', onFault),
    notified: new Channel('notified', onFault),
    scriptServes: new Channel('scriptServes', onFault),
    scriptJobDone: new Channel('scriptJobDone', onFault),
    scriptJobShed: new Channel('scriptJobShed', onFault),
    scriptFailed: new Channel('scriptFailed', onFault),
    gatewayAdded: new Channel('gatewayAdded', onFault),
    gatewayEnded: new Channel('gatewayEnded', onFault),
    gatewayResponded: new Channel('gatewayResponded', onFault),
    ownRequestEnded: new Channel('ownRequestEnded', onFault),
    inviteUnacknowledged: new Channel('inviteUnacknowledged', onFault),
    dropped: new Channel('dropped', onFault),
    banned: new Channel('banned', onFault),
    logged: new Channel('logged', onFault),
    serverMoved: new Channel('serverMoved', onFault),
  }
}
