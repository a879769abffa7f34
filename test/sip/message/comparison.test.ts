import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { Request } from '../../../src/sip/message/message.ts'
import { parseMessage } from '../../../src/sip/message/parse.ts'
import { addressOfRecord, isSipUri, parseUri, type SipUri, uriEquals } from '../../../src/sip/message/uri.ts'

/** What is the same, however it is written: URIs by RFC 3261 §19.1.4, header fields by §7.3.1 and §7.3.3. */

const COMPACT: Readonly<Record<string, string>> = {
  'Call-ID': 'i',
  Contact: 'm',
  'Content-Type': 'c',
  From: 'f',
  Subject: 's',
  Supported: 'k',
  To: 't',
  Via: 'v',
}

interface UriParts {
  readonly user: string
  readonly host: string
  readonly port: number | null
  readonly params: readonly (readonly [string, string])[]
  readonly headers: readonly (readonly [string, string])[]
}
const token = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_.!~*'), minLength: 1, maxLength: 6 })
const pairs = fc.uniqueArray(fc.tuple(token, token), {
  maxLength: 4,
  selector: ([name]) => name.toLowerCase(),
})
const uriParts: fc.Arbitrary<UriParts> = fc.record({
  user: token,
  host: fc.constantFrom('example.com', 'h-1.example.net', '192.0.2.1'),
  port: fc.option(fc.integer({ min: 1, max: 65_535 })),
  params: fc
    .tuple(pairs, fc.constantFrom([], [['transport', 'tcp']], [['maddr', 'h']] as const))
    .map(
      ([more, named]) =>
        [...more.filter(([n]) => !/^(transport|maddr|ttl|user|method|lr)$/i.test(n)), ...named] as [
          string,
          string,
        ][],
    ),
  headers: pairs,
})
/** Ways to write it that §19.1.4 takes for the same: case, escapes, order. By the numbers, so that they shrink. */
const spelling = fc.array(fc.nat(1_000), { minLength: 64, maxLength: 64 })

function written({ user, host, port, params, headers }: UriParts, how: readonly number[]): string {
  let at = 0
  const next = (n: number): number => (how[at++ % how.length] ?? 0) % n
  const cased = (text: string): string =>
    [...text].map((c) => (next(2) === 0 ? c.toUpperCase() : c.toLowerCase())).join('')
  const escaped = (text: string): string =>
    [...text].map((c) => (next(4) === 0 ? `%${c.charCodeAt(0).toString(16)}` : c)).join('')
  const turned = <T>(list: readonly T[]): T[] => {
    const by = next(list.length + 1)
    return [...list.slice(by), ...list.slice(0, by)]
  }
  return [
    `${cased('sip')}:${escaped(user)}@${cased(host)}`,
    port === null ? '' : `:${port}`,
    ...turned(params).map(([name, value]) => `;${cased(name)}=${cased(value)}`),
    headers.length === 0
      ? ''
      : `?${turned(headers)
          .map(([n, v]) => `${cased(n)}=${escaped(v)}`)
          .join('&')}`,
  ].join('')
}

function sip(text: string): SipUri {
  const parsed = parseUri(text)
  assert.ok(parsed.ok && isSipUri(parsed.value), text)
  return parsed.value
}

describe('URIs (RFC 3261 §19.1.4)', () => {
  it('are equal in every spelling, either way round, and name one address-of-record', () => {
    fc.assert(
      fc.property(uriParts, spelling, spelling, (parts, one, other) => {
        const [a, b] = [sip(written(parts, one)), sip(written(parts, other))]
        assert.ok(uriEquals(a, a))
        assert.ok(uriEquals(a, b), `${written(parts, one)} and ${written(parts, other)}`)
        assert.ok(uriEquals(b, a))
        assert.equal(addressOfRecord(a), addressOfRecord(b))
      }),
    )
  })

  it('differ in what any one part says, whatever the spelling', () => {
    const change = fc.constantFrom<(p: UriParts) => UriParts>(
      (p) => ({ ...p, user: `${p.user}x` }),
      (p) => ({ ...p, host: `x.${p.host}` }),
      (p) => ({ ...p, port: p.port === null ? 5060 : null }),
      (p) => ({ ...p, port: (p.port ?? 1) === 9 ? 10 : 9 }),
      // These four count though the other has none; others only where both have them.
      (p) => ({ ...p, params: [...p.params.filter(([n]) => n !== 'maddr'), ['maddr', 'elsewhere']] }),
      (p) => ({ ...p, params: [...p.params, ['ttl', '7']] }),
      (p) => ({ ...p, params: [...p.params, ['user', 'phone']] }),
      (p) => ({ ...p, params: [...p.params, ['method', 'INVITE']] }),
      (p) => ({ ...p, headers: [...p.headers, ['zzzzzzz', 'v']] }),
    )
    fc.assert(
      fc.property(uriParts, change, spelling, spelling, (parts, make, one, other) => {
        const [a, b] = [sip(written(parts, one)), sip(written(make(parts), other))]
        if (JSON.stringify(parts) === JSON.stringify(make(parts))) return
        assert.ok(!uriEquals(a, b), `${written(parts, one)} and ${written(make(parts), other)}`)
        assert.ok(!uriEquals(b, a))
      }),
    )
  })

  it('are equal with a parameter that the other lacks, and different when both have it and disagree', () => {
    fc.assert(
      fc.property(uriParts, spelling, (parts, how) => {
        const more = (value: string): SipUri =>
          sip(written({ ...parts, params: [...parts.params, ['unheard', value]] }, how))
        assert.ok(uriEquals(more('1'), sip(written(parts, how))))
        assert.ok(!uriEquals(more('1'), more('2')))
      }),
    )
  })

  it('tell apart users by case', () => {
    assert.ok(!uriEquals(sip('sip:Alice@h'), sip('sip:alice@h')))
  })
})

describe('header fields (RFC 3261 §7.3.1, §7.3.3)', () => {
  const field = fc.tuple(
    fc.constantFrom('Subject', 'Supported', 'Route', 'Record-Route', 'X-Own', 'Contact', 'Allow'),
    fc.array(fc.constantFrom('<sip:a@h;lr>', '<sip:b,c@h>', '"x, y" <sip:d@h>'), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  const message = (fields: readonly string[]): Request => {
    const parsed = parseMessage(
      [
        'OPTIONS sip:x@h SIP/2.0',
        'Via: SIP/2.0/UDP h;branch=z9hG4bK1',
        'From: <sip:a@h>;tag=1',
        'To: <sip:b@h>',
      ]
        .concat('Call-ID: 1', 'CSeq: 1 OPTIONS', fields, '', '')
        .join('\r\n'),
    )
    assert.ok(parsed.ok && parsed.message.kind === 'request')
    return parsed.message
  }
  /** Of those that are lists of addresses all values, of others the text. */
  const meaning = (request: Request, name: string): string[] =>
    request.headers
      .all(name.toLowerCase())
      .flatMap((value) => value.split(/,(?=\s*(?:<|"))/))
      .map((v) => v.trim())

  it('have the same meaning in any case, in compact form, folded, spaced, and as one row or several', () => {
    fc.assert(
      fc.property(fc.uniqueArray(field, { selector: ([n]) => n, maxLength: 5 }), spelling, (fields, how) => {
        let at = 0
        const next = (n: number): number => (how[at++ % how.length] ?? 0) % n
        const spelled = (name: string): string => {
          const short = COMPACT[name]
          const text = short !== undefined && next(3) === 0 ? short : name
          return [...text].map((c) => (next(2) === 0 ? c.toUpperCase() : c.toLowerCase())).join('')
        }
        const space = (): string => ['', ' ', '\t', '  ', '\r\n '][next(5)] ?? ''
        const plain = message(fields.flatMap(([name, values]) => values.map((value) => `${name}: ${value}`)))
        const other = message(
          fields.flatMap(([name, values]) =>
            next(2) === 0
              ? [`${spelled(name)}${[' ', '', '\t'][next(3)]}:${space()}${values.join(`,${space()}`)}`]
              : values.map((value) => `${spelled(name)}:${space()}${value}`),
          ),
        )
        for (const [name] of fields) assert.deepEqual(meaning(other, name), meaning(plain, name), name)
      }),
    )
  })

  it('keep their values: what is in quotes, and the order of the rows, is not ours to change', () => {
    const request = message(['X-Own: "Ab,C"', 'x-own: "ab,c"'])
    assert.deepEqual(request.headers.all('x-own'), ['"Ab,C"', '"ab,c"'])
  })
})
