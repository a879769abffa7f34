import { decodeBencode, encodeBencode, isDictionary, type Dictionary } from '../base/bencode.ts'
import type { MediaRelay } from '../core/b2bua/call-media.ts'
import type { MediaEngine } from '../media/media-engine.ts'
import type { MediaResult, Party, Signal } from '../media/session.ts'
import type { BatchReader, Item, Service, Services } from '../script/conversation.ts'

/**
 * What scripts ask of the media engine: `rtpengine.*`. A media engine's failure is an answer, not a refusal:
 * 0, reason, what; a refusal is the script's mistake.
 */
export function mediaServices(engine: MediaEngine): Services {
  const signalled =
    (verb: 'offer' | 'answer'): Service =>
    (args, answer) =>
      engine[verb](readSignal(args), (result) => {
        if (!result.ok) return answer(failure(result))
        const { sdp } = result.answer
        return answer(typeof sdp === 'string' ? [1, sdp] : [0, 'malformed', 'the answer holds no SDP'])
      })
  return new Map<string, Service>([
    ['rtpengine.offer', signalled('offer')],
    ['rtpengine.answer', signalled('answer')],
    [
      'rtpengine.await',
      (args, answer) =>
        engine.awaitOffer(readSignal(args), (result) => answer(result.ok ? [1, ''] : failure(result))),
    ],
    [
      'rtpengine.delete',
      (args, answer) => engine.delete(args.string(), (deleted) => answer([deleted ? 1 : 0])),
    ],
    ['rtpengine.ping', (_args, answer) => engine.ping((answered) => answer([answered]))],
    [
      'rtpengine.command',
      (args, answer) => {
        const [command, callId, party, extras] = [args.string(), args.string(), args.text(), readFlags(args)]
        engine.command(command, callId, party as Party | null, extras, (result) =>
          answer(result.ok ? [1, encodeBencode(result.answer)] : failure(result)),
        )
      },
    ],
  ])
}

/** The media engine as the back-to-back user agent sees it. */
export function mediaRelay(engine: MediaEngine): MediaRelay {
  return {
    has: (callId, branch) => engine.has(callId, branch),
    awaited: (callId, branch) => engine.awaited(callId, branch),
    exchange: (callId, crossing, sdp, done) =>
      engine.renegotiate(callId, crossing, sdp, (result) => {
        const given = result.ok ? result.answer['sdp'] : null
        done(typeof given === 'string' ? given : null)
      }),
    paired: (callId, pair, kept) => engine.paired(callId, pair, kept),
  }
}

function readSignal(args: BatchReader): Signal {
  return {
    callId: args.string(),
    fromTag: args.string(),
    toTag: args.text(),
    viaBranch: args.text(),
    sdp: args.string(),
    profile: args.text(),
    extras: readFlags(args),
  }
}

function readFlags(args: BatchReader): Dictionary {
  const flags = decodeBencode(args.string())
  if (!isDictionary(flags)) throw new Error('a worker sent flags that are no dictionary')
  return flags
}

function failure(result: Extract<MediaResult, { ok: false }>): Item[] {
  return [0, result.reason, result.what]
}
