import { isDictionary, isList, type Bencode, type Dictionary } from '../base/bencode.ts'
import type { MediaFigures, MediaLegFigures } from '../spine/facts.ts'

/** What a `query` says of a call, for its record. Null when it says nothing of the caller. */
export function figuresOf(answer: Dictionary, instance: string, callerTag: string): MediaFigures | null {
  const tags = dictionary(answer['tags'])
  const caller = dictionary(tags[callerTag])
  if (!isList(caller['medias'])) return null
  // Of several callees (a forked call) the one who spoke most is the one who answered.
  const others = Object.entries(tags).filter(([tag]) => tag !== callerTag)
  const reports = dictionary(answer['SSRC'])
  const legs = others.map(([, tag]) => legOf(dictionary(tag), reports))
  let [callee = NOBODY] = legs
  for (const leg of legs) if (leg.packets > callee.packets) callee = leg
  const codec = [caller, ...others.map(([, tag]) => dictionary(tag))].map(codecOf).find((c) => c !== null)
  return { instance, codec: codec ?? null, caller: legOf(caller, reports), callee }
}

const NOBODY: MediaLegFigures = {
  packets: 0,
  bytes: 0,
  errors: 0,
  lossPercent: null,
  jitterMs: null,
  mos: null,
}

function legOf(tag: Dictionary, reports: Dictionary): MediaLegFigures {
  let [packets, bytes, errors] = [0, 0, 0]
  let report: Dictionary | null = null
  for (const media of list(tag['medias']).map(dictionary)) {
    for (const stream of list(media['streams']).map(dictionary)) {
      if (!list(stream['flags']).includes('RTP')) continue
      const stats = dictionary(stream['stats'])
      packets += number(stats['packets']) ?? 0
      bytes += number(stats['bytes']) ?? 0
      errors += number(stats['errors']) ?? 0
      const average = dictionary(dictionary(reports[String(stream['SSRC'])])['average MOS'])
      if (media['type'] === 'audio' && number(average['samples']) !== null) report ??= average
    }
  }
  const mos = number(report?.['MOS'])
  return {
    packets,
    bytes,
    errors,
    lossPercent: number(report?.['packet loss']),
    jitterMs: number(report?.['jitter']),
    // In tenths.
    mos: mos === null ? null : mos / 10,
  }
}

function codecOf(tag: Dictionary): string | null {
  for (const media of list(tag['medias']).map(dictionary)) {
    const { codec } = media
    if (media['type'] === 'audio' && typeof codec === 'string' && codec !== '') return codec
  }
  return null
}

function dictionary(value: Bencode | undefined): Dictionary {
  return isDictionary(value) ? value : {}
}

function list(value: Bencode | undefined): readonly Bencode[] {
  return isList(value) ? value : []
}

function number(value: Bencode | undefined): number | null {
  return typeof value === 'number' ? value : null
}
