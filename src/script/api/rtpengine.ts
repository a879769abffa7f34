import { decodeBencode, encodeBencode, isDictionary, type Bencode } from '../../base/bencode.ts'
import { parseVia } from '../../sip/message/via.ts'
import { SessionDescription } from '../../sip/sdp/session-description.ts'
import type { BatchReader } from '../conversation.ts'
import { ScriptCall } from './call.ts'
import { show } from './checks.ts'
import { ngFlags, type MediaOptions } from './media-options.ts'
import { ScriptRequest } from './request.ts'
import { ScriptError } from './script-error.ts'
import { putSdp, sdpOf, type SdpCarrier } from './sdp.ts'
import { services } from './services.ts'
import { decodeText, encodeText } from './text.ts'

/** A message of a call: a request, a reply, or a B2BUA's call. */
export interface MediaCall {
  readonly callId: string
}

/** One that carries, or may carry, SDP. */
export interface MediaMessage extends MediaCall, SdpCarrier {
  readonly fromTag: string | undefined
  readonly toTag: string | undefined
  getHeaders(name: string): string[]
}

/**
 * Why there is no media:
 * `no_instance`: none is up, or none that was asked answered; `timeout`: the call's own instance did not answer;
 * `refused`: it said no; `malformed`: its answer was none; `no_session`: no offer of this call was made;
 * `call_over`: the call has ended meanwhile.
 */
export type MediaFailure = 'no_instance' | 'timeout' | 'refused' | 'malformed' | 'no_session' | 'call_over'

export interface MediaRefusal {
  readonly ok: false
  readonly reason: MediaFailure
  /** For the log. */
  readonly what: string
}

export type MediaResult =
  | {
      readonly ok: true
      /** What the message carries now; undefined when it carried no SDP and there was nothing to do. */
      readonly sdp: string | undefined
    }
  | MediaRefusal

export type MediaReply = { readonly ok: true; readonly answer: MediaValue } | MediaRefusal

/** What rtpengine answered, under its own names. Bytes that are not UTF-8 become U+FFFD. */
export type MediaValue = string | number | readonly MediaValue[] | { readonly [key: string]: MediaValue }

export interface PartyOptions {
  /** Whom it is about. Default: for playing, the caller; else both. */
  readonly party?: 'caller' | 'callee'
}

export interface PlayOptions extends PartyOptions {
  /** A path on rtpengine's machine. One of `file`, `blob`, `dbId`. */
  readonly file?: string
  /** The sound itself, in a format that rtpengine can read (WAV, MP3 …). At most 60,000 bytes. */
  readonly blob?: Uint8Array
  readonly dbId?: number
  /** How often it is played. Default 1. */
  readonly repeat?: number
  readonly startMs?: number
}

export interface DtmfOptions extends PartyOptions {
  /** Default 250. */
  readonly durationMs?: number
  /** Default -8. */
  readonly volumeDbm0?: number
}

/**
 * Media through rtpengine. No function here throws because of an engine or a network: what failed is in the result, and
 * the script decides whether the call goes on without. Media is deleted when the call ends, however it ends.
 */
export const rtpengine = {
  /**
   * Anchors the SDP of a request (INVITE, re-INVITE, UPDATE) and puts what the other side must get in its place. Without
   * SDP there is nothing to do, and the result is ok.
   *
   * A B2BUA's call without an offer has its media anchored from the callee's offer on, which comes in the 200 or a reliable
   * 18x, with the caller's answer in the ACK or PRACK; the profile and the options are for the same sides as ever. The
   * result is ok without SDP, or `no_instance`.
   *
   * A call's first offer chooses an instance by weight; one that does not answer in time is given up for another that is
   * up, within this call. From then on the call stays with its instance.
   * @throws ScriptError for an INVITE that is not record-routed: its end would not be seen, and its media never deleted
   */
  async offer(message: MediaMessage, options: MediaOptions = {}): Promise<MediaResult> {
    if (message instanceof ScriptRequest && message.method === 'INVITE' && !message.inDialog) {
      if (!message.recordRouted) {
        throw new ScriptError(
          'rtpengine.offer: call request.recordRoute() first, or the end of the call is not seen',
        )
      }
    }
    return exchange('rtpengine.offer', message, branchOf(message, 0), options)
  },

  /**
   * Anchors the SDP of a response (18x, 2xx) to a request whose SDP was offered. Without SDP there is nothing to do. The
   * profile is the offer's unless another is given. In a B2BUA's call without an offer it is the callee's offer that is anchored.
   */
  async answer(reply: MediaMessage, options: MediaOptions = {}): Promise<MediaResult> {
    return exchange('rtpengine.answer', reply, branchOf(reply, 1), options)
  },

  /**
   * Deletes the call's media now. Not needed at the end of a call: that is done without a script, and doing both is harmless.
   * @returns whether there was any
   */
  async delete(call: MediaCall): Promise<boolean> {
    configured()
    const reader = await services().call('rtpengine.delete', encodeText(call.callId))
    return reader.number() === 1
  },

  /** Asks every instance now; true when at least one answers. */
  async ping(): Promise<boolean> {
    configured()
    return (await services().call('rtpengine.ping')).number() > 0
  },

  /** What the instance knows of the call: streams, packets, and by RTCP loss, jitter and MOS (rtpengine's names). */
  query(call: MediaCall): Promise<MediaReply> {
    return command('query', call, null, {})
  },

  /** Plays to one party. `answer.duration` is the length in milliseconds, where rtpengine knows it. */
  playMedia(call: MediaCall, options: PlayOptions): Promise<MediaReply> {
    const { file, blob, dbId, repeat, startMs, party = 'caller' } = options
    const sources: Record<string, Bencode> = {}
    if (file !== undefined) sources['file'] = encodeText(file)
    if (blob !== undefined) sources['blob'] = blobText(blob)
    if (dbId !== undefined) sources['db-id'] = whole('dbId', dbId)
    if (Object.keys(sources).length !== 1) throw new ScriptError('playMedia needs one of file, blob and dbId')
    const more: Record<string, Bencode> = {}
    if (repeat !== undefined) more['repeat-times'] = whole('repeat', repeat)
    if (startMs !== undefined) more['start-pos'] = whole('startMs', startMs)
    return command('play media', call, party, { ...sources, ...more })
  },

  stopMedia(call: MediaCall, { party = 'caller' }: PartyOptions = {}): Promise<MediaReply> {
    return command('stop media', call, party, {})
  },

  /** Sends one DTMF digit (0-9, *, #, A-D) as if this party had pressed it (RFC 4733, or in the audio). */
  playDtmf(call: MediaCall, digit: string, options: DtmfOptions = {}): Promise<MediaReply> {
    if (!/^[0-9*#A-D]$/.test(String(digit)))
      throw new ScriptError(`${show(digit)} is not a DTMF digit: 0-9*#A-D`)
    const { party = 'caller', durationMs = 250, volumeDbm0 = -8 } = options
    const [duration, volume] = [whole('durationMs', durationMs), whole('volumeDbm0', volumeDbm0)]
    return command('play DTMF', call, party, { code: digit, duration, volume })
  },

  /** The media of a party (of both) goes nowhere. */
  blockMedia: (call: MediaCall, options: PartyOptions = {}) => partyCommand('block media', call, options),
  unblockMedia: (call: MediaCall, options: PartyOptions = {}) => partyCommand('unblock media', call, options),
  /** The media of a party (of both) arrives as silence. */
  silenceMedia: (call: MediaCall, options: PartyOptions = {}) => partyCommand('silence media', call, options),
  unsilenceMedia: (call: MediaCall, options: PartyOptions = {}) =>
    partyCommand('unsilence media', call, options),
  blockDtmf: (call: MediaCall, options: PartyOptions = {}) => partyCommand('block DTMF', call, options),
  unblockDtmf: (call: MediaCall, options: PartyOptions = {}) => partyCommand('unblock DTMF', call, options),
  /** Records from now on, where rtpengine was started with `--recording-dir`. */
  startRecording: (call: MediaCall) => command('start recording', call, null, {}),
  pauseRecording: (call: MediaCall) => command('pause recording', call, null, {}),
  stopRecording: (call: MediaCall) => command('stop recording', call, null, {}),
}

async function exchange(
  service: string,
  message: MediaMessage,
  viaBranch: string | null,
  options: MediaOptions,
): Promise<MediaResult> {
  const { profiles, sdpName } = configured()
  const { profile = null } = options
  if (profile !== null && !profiles.includes(profile)) {
    throw new ScriptError(`${show(profile)} is not a media profile: ${profiles.join(', ')}`)
  }
  const extras = encodeBencode(ngFlags(options))
  const text = sdpOf(message)
  const { callId, fromTag = '', toTag = null } = message
  if (text === undefined) {
    const awaits = service === 'rtpengine.offer' && message instanceof ScriptCall && message.body.length === 0
    if (!awaits) return { ok: true, sdp: undefined }
    const args = [encodeText(callId), fromTag, null, null, '', profile, extras]
    const told = await services().call('rtpengine.await', ...args)
    return told.number() === 0 ? refusal(told) : { ok: true, sdp: undefined }
  }
  const reader = await services().call(
    service,
    ...[encodeText(callId), fromTag, toTag, viaBranch, text, profile, extras],
  )
  if (reader.number() === 0) return refusal(reader)
  let sdp = reader.string()
  if (sdpName !== null) {
    const parsed = SessionDescription.parse(sdp)
    parsed.session.set('s', encodeText(sdpName))
    sdp = parsed.toString()
  }
  putSdp(message, sdp)
  return { ok: true, sdp: decodeText(sdp) }
}

/** Outside a dialog, the branch tells the offers of a forked call apart; in a response it is below our own Via. */
function branchOf(message: MediaMessage, at: 0 | 1): string | null {
  if (at === 0 && message.toTag !== undefined) return null
  const via = message.getHeaders('Via')[at]
  const parsed = via === undefined ? null : parseVia(encodeText(via))
  return parsed?.ok ? (parsed.value.params.get('branch') ?? null) : null
}

function partyCommand(name: string, call: MediaCall, { party }: PartyOptions): Promise<MediaReply> {
  return command(name, call, party ?? null, {})
}

async function command(
  name: string,
  call: MediaCall,
  party: 'caller' | 'callee' | null,
  extras: Record<string, Bencode>,
): Promise<MediaReply> {
  configured()
  const args = [name, encodeText(call.callId), party, encodeBencode(extras)]
  const reader = await services().call('rtpengine.command', ...args)
  if (reader.number() === 0) return refusal(reader)
  const answer = decodeBencode(reader.string())
  return { ok: true, answer: answer === undefined ? {} : readable(answer) }
}

function refusal(reader: BatchReader): MediaRefusal {
  return { ok: false, reason: reader.string() as MediaFailure, what: decodeText(reader.string()) }
}

function configured(): { readonly profiles: readonly string[]; readonly sdpName: string | null } {
  const { media } = services().settings
  if (!media) throw new ScriptError('there is no media engine: write media.rtpengine in siphon.yaml')
  return media
}

function readable(value: Bencode): MediaValue {
  if (typeof value === 'string') return decodeText(value)
  if (typeof value === 'number') return value
  if (!isDictionary(value)) return value.map(readable)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [decodeText(key), readable(item)]))
}

function blobText(blob: Uint8Array): string {
  if (blob.length > 60_000)
    throw new ScriptError('a blob of more than 60,000 bytes does not fit into a datagram: use file')
  return Buffer.from(blob).toString('latin1')
}

function whole(name: string, value: number): number {
  if (!Number.isInteger(value)) throw new ScriptError(`${name} is ${show(value)}, not a whole number`)
  return value
}
