export type Format = 'text' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

const VERSIONS: Readonly<Record<Format, string>> = { text: '0.0.4', openmetrics: '1.0.0' }

/**
 * Which format an Accept header asks for (RFC 9110 §12.5.1). Text unless OpenMetrics is named and wanted at least as
 * much; text too when neither is acceptable, because a scrape that can be read beats a 406.
 */
export function negotiate(accept: string | undefined): Format {
  const wanted: Record<Format, number> = { text: 0, openmetrics: 0 }
  const specificity: Record<Format, number> = { text: -1, openmetrics: -1 }
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...params] = range.split(';').map((part) => part.trim().toLowerCase())
    const version = params
      .find((p) => p.startsWith('version='))
      ?.slice('version='.length)
      .replaceAll('"', '')
    const q = quality(params.find((p) => p.startsWith('q='))?.slice(2))
    for (const format of ['text', 'openmetrics'] as const) {
      const specific = matches(type, version, format)
      if (specific < 0 || specific < specificity[format]) continue
      // Of ranges that name a format equally well (two versions of it) the one that wants it more counts.
      wanted[format] = specific === specificity[format] ? Math.max(wanted[format], q) : q
      specificity[format] = specific
    }
  }
  return specificity.openmetrics === NAMED && wanted.openmetrics > 0 && wanted.openmetrics >= wanted.text
    ? 'openmetrics'
    : 'text'
}

/** How exactly a media range says which format: by type and subtype. */
const NAMED = 2

/** How exactly a media range names the format: `NAMED`, 1 type, 0 anything, -1 not at all. */
function matches(type: string, version: string | undefined, format: Format): number {
  if (type === '*/*') return 0
  const [own = ''] = CONTENT_TYPES[format].split(';')
  if (type === own) return version === undefined || version === VERSIONS[format] ? NAMED : -1
  return type === `${own.split('/')[0]}/*` ? 1 : -1
}

/**
 * Whether an Accept-Encoding header wants gzip at least as much as no coding (RFC 9110 §12.5.3). What it does not name is
 * worth what `*` is.
 */
export function acceptsGzip(field: string): boolean {
  const wanted = new Map<string, number>()
  for (const part of field.split(',')) {
    const [coding = '', ...params] = part.split(';').map((text) => text.trim().toLowerCase())
    wanted.set(coding, quality(params.find((p) => p.startsWith('q='))?.slice(2)))
  }
  const others = wanted.get('*') ?? 0
  const gzip = wanted.get('gzip') ?? wanted.get('x-gzip') ?? others
  return gzip > 0 && gzip >= (wanted.get('identity') ?? others)
}

function quality(text: string | undefined): number {
  if (text === undefined) return 1
  const q = Number(text)
  return q >= 0 && q <= 1 ? q : 0
}
