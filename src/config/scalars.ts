import { isIP, isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'
import type { Address } from '../base/address.ts'
import type { ListenAddress, StreamListenAddress } from './config.ts'
import { suggest } from '../base/suggest.ts'

/**
 * The kinds of value that siphon.yaml holds. Each reads an unknown YAML value and says what is wrong and what to write
 * instead, without repeating the value (it may be a secret). Numbers and booleans are also read from text, because a
 * `${VAR}` is text. `meta` is what the JSON Schema and the reference page say of the key.
 */
export type Kind<T> = z.ZodType<T>
type Read<T> = (value: unknown, refuse: Refuse) => T | typeof REFUSED
type Refuse = (what: string, instead: string) => typeof REFUSED
const REFUSED = Symbol('refused')

/** A key that may be left out, and what it is then. */
export function optional<T>(
  kind: Kind<T>,
  value: T,
  description: string,
  shown: unknown = value,
): z.ZodType<T> {
  return kind
    .optional()
    .transform((given) => given ?? value)
    .meta({ ...kind.meta(), description, ...(shown === null ? {} : { default: shown }) })
}

/** A key that may be left out: null then. */
export function nullable<T>(kind: Kind<T>, description: string): z.ZodType<T | null> {
  return optional<T | null>(kind, null, description)
}

/** A key that must be there when its block is. */
export function required<T>(kind: Kind<T>, description: string): z.ZodType<T> {
  return kind.meta({ ...kind.meta(), description })
}

function kind<T>(meta: Record<string, unknown>, missing: string, read: Read<T>): Kind<T> {
  return z
    .unknown()
    .transform((value, ctx): T => {
      const refuse: Refuse = (what, instead) => {
        ctx.addIssue({ code: 'custom', message: what, params: { instead } })
        return REFUSED
      }
      const result = value === undefined ? refuse('is missing', missing) : read(value, refuse)
      return result === REFUSED ? z.NEVER : result
    })
    .meta(meta)
}

/** Text of at least one character. `check` returns what is wrong and what to write, or null. */
export function text(
  write: string,
  check?: (value: string) => readonly [what: string, instead: string] | null,
  meta: Record<string, unknown> = {},
): Kind<string> {
  return kind({ type: 'string', ...meta }, `write ${write}`, (value, refuse) => {
    if (typeof value === 'number' || typeof value === 'boolean') {
      return refuse(`is a ${typeof value}, not text`, 'put it in quotes')
    }
    if (typeof value !== 'string') return refuse('is not text', `write ${write}`)
    if (value === '') return refuse('is empty', `write ${write}`)
    const wrong = check?.(value) ?? null
    return wrong === null ? value : refuse(wrong[0], wrong[1])
  })
}

/** Text that goes into a header field or a log line: printable ASCII, so that no CR or LF can start a new line there. */
export function printable(write: string): Kind<string> {
  return text(write, (value) =>
    /^[\x20-\x7e]*$/.test(value)
      ? null
      : ['holds a line break or another unprintable character', `write ${write} on one line`],
  )
}

/** A path, relative to the folder of the configuration file. Made absolute later. */
export function path(write: string): Kind<string> {
  return text(`a path like ${write}`, (value) =>
    value.includes('\0') ? ['holds a NUL character', `write a path like ${write}`] : null,
  )
}

export function choice<const T extends string>(values: readonly T[]): Kind<T> {
  const list = values.join(', ')
  return kind({ type: 'string', enum: values }, `write one of ${list}`, (value, refuse) => {
    const found = values.find((v) => v === value)
    if (found !== undefined) return found
    const near = typeof value === 'string' ? suggest(value, values) : null
    return refuse(`is not one of ${list}`, near === null ? `write one of them` : `did you mean ${near}?`)
  })
}

export function flag(): Kind<boolean> {
  return kind({ type: 'boolean' }, 'write true or false', (value, refuse) => {
    if (value === true || value === 'true') return true
    if (value === false || value === 'false') return false
    if (typeof value === 'string') {
      // YAML 1.1, and Kamailio, had these as booleans; in YAML 1.2 they are text.
      if (/^(yes|on|y)$/i.test(value)) return refuse('is text: YAML 1.2 knows no yes and on', 'write true')
      if (/^(no|off|n)$/i.test(value)) return refuse('is text: YAML 1.2 knows no no and off', 'write false')
    }
    return refuse('is neither true nor false', 'write true or false')
  })
}

/** A number from `minimum` to `maximum`, whole unless told otherwise. */
export function amount(minimum: number, maximum: number, whole = true): Kind<number> {
  const noun = whole ? 'a whole number' : 'a number'
  const range = minimum === maximum ? String(minimum) : `${noun} from ${minimum} to ${maximum}`
  return kind({ type: whole ? 'integer' : 'number', minimum, maximum }, `write ${range}`, (value, refuse) => {
    const number = numberOf(value)
    if (number === null) return refuse('is not a number', `write ${range}`)
    if (whole && !Number.isInteger(number)) return refuse('is not a whole number', `write ${range}`)
    if (number < minimum) return refuse('is too small', `write ${range}`)
    if (number > maximum) return refuse('is too large', `write ${range}`)
    return number
  })
}

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 }

/** A duration in seconds: `30s`, `5m`, `500ms`, `1h`, or a number of seconds. */
export function seconds(minimum: number, maximum: number, whole = false): Kind<number> {
  const range = `a duration from ${minimum}s to ${maximum}s, like 30s or 5m`
  const meta = {
    anyOf: [
      { type: 'number', minimum, maximum },
      { type: 'string', pattern: '^[0-9.]+(ms|s|m|h)$' },
    ],
  }
  return kind(meta, `write ${range}`, (value, refuse) => {
    const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/.exec(value.trim()) : null
    const unit = UNITS[match?.[2] ?? 's'] ?? 1
    const number = match === null ? numberOf(value) : Number(match[1]) * unit
    if (number === null) return refuse('is not a duration', `write ${range}`)
    if (number < minimum) return refuse('is too short', `write ${range}`)
    if (number > maximum) return refuse('is too long', `write ${range}`)
    if (whole && !Number.isInteger(number)) return refuse('is not in whole seconds', `write ${range}`)
    return number
  })
}

function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  return typeof value === 'string' && /^[+-]?\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : null
}

/** Host and port apart; IPv6 in brackets. Null when it is not of this form. */
export function splitHostPort(value: string): { host: string; port: number | null } | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(value)
  if (match === null) return null
  const host = match[1] ?? match[2] ?? ''
  if (match[1] !== undefined && !isIPv6(host)) return null
  const port = match[3] === undefined ? null : Number(match[3])
  return port !== null && port > 65535 ? null : { host, port }
}

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/

/** An IP address, or a host name; four numbers with dots that are no IPv4 address are neither. */
export function isHost(value: string): boolean {
  return isIP(value) !== 0 || (HOST_NAME.test(value) && !/^[\d.]+$/.test(value))
}

/** Where to listen: an IP address and a port; 0 takes a free one. */
function readIpPort(value: unknown, example: string, refuse: Refuse): Address | typeof REFUSED {
  const write = `write "${example}", or "[::1]:${example.split(':')[1]}" for IPv6`
  if (typeof value !== 'string') return refuse('is not an address', write)
  if (/^:?\d+$/.test(value)) {
    return refuse(
      'names no IP address',
      `write "127.0.0.1:${value.replace(':', '')}", or "0.0.0.0:…" for every interface`,
    )
  }
  if (isIPv6(value)) return refuse('is an IPv6 address without brackets', write)
  const split = splitHostPort(value)
  if (split === null) return refuse('is not an IP address and a port', write)
  if (!isIPv4(split.host) && !isIPv6(split.host)) {
    return refuse('is a name, not an IP address', `write the IP address: ${write.slice(6)}`)
  }
  if (split.port === null) return refuse('has no port', write)
  return { host: split.host, port: split.port }
}

export function ipPort(example: string): Kind<Address> {
  return kind({ type: 'string', examples: [example] }, `write "${example}"`, (value, refuse) =>
    readIpPort(value, example, refuse),
  )
}

/** A peer to send to: an IP address or a host name, and a port from 1. */
export function hostPort(example: string): Kind<Address> {
  const write = `write "${example}"`
  return kind({ type: 'string', examples: [example] }, write, (value, refuse) => {
    const split = typeof value === 'string' ? splitHostPort(value) : null
    if (split === null || !isHost(split.host)) return refuse('is not a host and a port', write)
    if (split.port === null || split.port === 0) return refuse('has no port', write)
    return { host: split.host, port: split.port }
  })
}

/** A name server: an IP address, with a port when it is not 53. */
export function nameServer(): Kind<Address> {
  const write = 'write an IP address like "192.0.2.53", or "192.0.2.53:5353"; IPv6 with a port in brackets'
  return kind({ type: 'string', examples: ['192.0.2.53'] }, write, (value, refuse) => {
    if (typeof value !== 'string') return refuse('is not an address', write)
    if (isIPv6(value)) return { host: value, port: 53 }
    const split = splitHostPort(value)
    if (split === null || isIP(split.host) === 0) return refuse('is not an IP address', write)
    return split.port === 0 ? refuse('has port 0', write) : { host: split.host, port: split.port ?? 53 }
  })
}

/** What a listener is called by peers: a host name or an IP address, with or without a port. */
export function readAdvertise(value: unknown): { host: string; port: number | null } | null {
  if (typeof value !== 'string') return null
  const split = isIPv6(value) ? { host: value, port: null } : splitHostPort(value)
  return split !== null && isHost(split.host) && split.port !== 0 ? split : null
}

/** A network: `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export function cidr(): Kind<string> {
  const write = 'write a network like "10.0.0.0/8", or an IP address'
  return kind({ type: 'string', examples: ['10.0.0.0/8'] }, write, (value, refuse) => {
    if (typeof value !== 'string') return refuse('is not a network', write)
    const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(value)
    const family = isIP(match?.[1] ?? '')
    if (match === null || family === 0) return refuse('is not a network', write)
    return Number(match[2] ?? 0) > (family === 6 ? 128 : 32)
      ? refuse('has a prefix that is too long', write)
      : value
  })
}

export function advertised(): Kind<{ host: string; port: number | null }> {
  const write = 'write a host name or an IP address, with a port when it differs'
  return kind(
    { type: 'string' },
    write,
    (value, refuse) => readAdvertise(value) ?? refuse('is not a host', write),
  )
}

const LISTEN_KEYS = {
  address: required(ipPort('127.0.0.1:5060'), 'IP address and port.'),
  advertise: nullable(advertised(), 'What peers are told instead.'),
}
const STREAM_KEYS = {
  ...LISTEN_KEYS,
  proxy_protocol: optional(flag(), false, 'Connections begin with a PROXY v2 header.'),
}

/** An entry of `listen.udp`: `"ip:port"` or `{ address, advertise }`. */
export function listenAddress(): Kind<ListenAddress> {
  const object = z
    .strictObject(LISTEN_KEYS)
    .transform((e): ListenAddress => ({ ...e.address, advertise: e.advertise }))
  return listenEntry(object, (address) => ({ ...address, advertise: null }), {})
}

/** As `listenAddress`, for a stream: load balancers may speak first. */
export function streamListenAddress(): Kind<StreamListenAddress> {
  const object = z.strictObject(STREAM_KEYS).transform((e): StreamListenAddress => ({
    ...e.address,
    advertise: e.advertise,
    proxy_protocol: e.proxy_protocol,
  }))
  return listenEntry(object, (address) => ({ ...address, advertise: null, proxy_protocol: false }), {
    proxy_protocol: { type: 'boolean' },
  })
}

function listenEntry<T>(object: z.ZodType<T>, of: (address: Address) => T, more: object): Kind<T> {
  const plain = ipPort('127.0.0.1:5060').transform(of)
  // Chosen by hand rather than by a union, whose faults would speak of both forms at once.
  return z
    .unknown()
    .transform((value, ctx): T => {
      const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
      const result = (isObject ? object : plain).safeParse(value)
      if (result.success) return result.data
      for (const issue of result.error.issues) {
        if (issue.code === 'custom') {
          ctx.addIssue({
            code: 'custom',
            message: issue.message,
            path: issue.path,
            params: issue.params ?? {},
          })
        } else if (issue.code === 'unrecognized_keys') {
          ctx.addIssue({ code: 'unrecognized_keys', keys: issue.keys, path: issue.path, input: {} })
        } else ctx.addIssue({ code: 'custom', message: issue.message, path: issue.path })
      }
      return z.NEVER
    })
    .meta({
      anyOf: [
        { type: 'string' },
        {
          type: 'object',
          properties: { address: { type: 'string' }, advertise: { type: 'string' }, ...more },
          required: ['address'],
          additionalProperties: false,
        },
      ],
    })
}
