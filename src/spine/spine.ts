import { Channel } from './channel.ts'
import type {
  CallDecided,
  CallRecord,
  FlowMoved,
  GatewayEnded,
  GatewayNamed,
  GatewayResponded,
  LogLine,
  MessageCrossed,
  MessageFaulted,
  OwnRequestEnded,
  RegistrationChanged,
  Retransmitted,
  ScriptFailed,
  ScriptJobDone,
  ScriptJobShed,
  ServerMoved,
} from './facts.ts'

/** Every channel of one engine. The call path publishes and never knows who listens. */
export interface Spine {
  readonly messageReceived: Channel<MessageCrossed>
  readonly messageSent: Channel<MessageCrossed>
  readonly messageFaulted: Channel<MessageFaulted>
  readonly retransmitted: Channel<Retransmitted>
  readonly flowOpened: Channel<FlowMoved>
  readonly flowClosed: Channel<FlowMoved>
  readonly callDecided: Channel<CallDecided>
  readonly callEnded: Channel<CallRecord>
  readonly registrationChanged: Channel<RegistrationChanged>
  readonly scriptJobDone: Channel<ScriptJobDone>
  readonly scriptJobShed: Channel<ScriptJobShed>
  readonly scriptFailed: Channel<ScriptFailed>
  /** A gateway was added: the series of it begin. */
  readonly gatewayAdded: Channel<GatewayNamed>
  readonly gatewayEnded: Channel<GatewayEnded>
  readonly gatewayResponded: Channel<GatewayResponded>
  readonly ownRequestEnded: Channel<OwnRequestEnded>
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
    flowOpened: new Channel('flowOpened', onFault),
    flowClosed: new Channel('flowClosed', onFault),
    callDecided: new Channel('callDecided', onFault),
    callEnded: new Channel('callEnded', onFault),
    registrationChanged: new Channel('registrationChanged', onFault),
    scriptJobDone: new Channel('scriptJobDone', onFault),
    scriptJobShed: new Channel('scriptJobShed', onFault),
    scriptFailed: new Channel('scriptFailed', onFault),
    gatewayAdded: new Channel('gatewayAdded', onFault),
    gatewayEnded: new Channel('gatewayEnded', onFault),
    gatewayResponded: new Channel('gatewayResponded', onFault),
    ownRequestEnded: new Channel('ownRequestEnded', onFault),
    logged: new Channel('logged', onFault),
    serverMoved: new Channel('serverMoved', onFault),
  }
}
