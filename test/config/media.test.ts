import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatFault } from '../../src/config/fault.ts'
import { parseConfig } from '../../src/config/load.ts'
import { mediaProfiles, mediaStart } from '../../src/server/media-settings.ts'

const load = (media: string) => parseConfig('f', `script: { path: s.ts }\nmedia: ${media}\n`, {})

function good(media: string) {
  const result = load(media)
  assert.ok(result.ok, result.ok ? '' : result.faults.map(formatFault).join('\n'))
  assert.ok(result.config.media)
  return result.config.media
}

function bad(media: string): string[] {
  const result = load(media)
  assert.ok(!result.ok)
  return result.faults.map((f) => formatFault(f).slice(2))
}

describe('media in siphon.yaml', () => {
  it('is one instance, or several', () => {
    const one = good('{ rtpengine: { address: "127.0.0.1:2223" } }')
    const standard = { address: { host: '127.0.0.1', port: 2223 }, timeout_ms: 1000, weight: 1 }
    assert.deepEqual(one.instances, [standard])
    assert.equal(one.health_check_interval_secs, 5)
    const two = good(
      '{ rtpengine: { instances: [{ address: "127.0.0.1:2223" }, { address: "[::1]:2223", weight: 3, timeout_ms: 200 }] }, health_check_interval_secs: 0 }',
    )
    assert.deepEqual(mediaStart(two).instances, [
      { address: standard.address, weight: 1, timeoutMs: 1000 },
      { address: { host: '::1', port: 2223 }, weight: 3, timeoutMs: 200 },
    ])
    assert.equal(mediaStart(two).healthIntervalMs, 0)
  })

  it('is absent unless it is written', () => {
    const result = parseConfig('f', 'script: { path: s.ts }\n', {})
    assert.ok(result.ok && result.config.media === null)
  })

  it('has profiles of the operator beside the built-in ones, in the words of rtpengine', () => {
    const media = good(`
  rtpengine: { address: "127.0.0.1:2223" }
  profiles:
    rtp_passthrough: { offer: { ice: force } }
    carrier:
      offer:
        transport_protocol: RTP/SAVP
        dtls: passive
        sdes: ["off"]
        replace: [origin, session-name]
        flags: [strict-source]
        direction: [internal, external]
        address_family: IP6
        rtcp_mux: [demux]
        record_call: true
      answer: { replace: [] }`)
    const profiles = mediaProfiles(media)
    assert.deepEqual(profiles['carrier'], {
      offer: {
        'transport-protocol': 'RTP/SAVP',
        DTLS: 'passive',
        'address-family': 'IP6',
        'record call': 'yes',
        SDES: ['off'],
        replace: ['origin', 'session-name'],
        flags: ['strict-source'],
        direction: ['internal', 'external'],
        'rtcp-mux': ['demux'],
      },
      answer: {},
    })
    assert.deepEqual(profiles['rtp_passthrough']?.offer, { ICE: 'force', replace: ['origin'] })
    assert.ok(profiles['srtp_to_rtp'])
  })

  it('is refused with what to write when it names no engine, or one twice, or none for new calls', () => {
    const one = '"127.0.0.1:2223"'
    const cases: [string, RegExp][] = [
      ['{ health_check_interval_secs: 5 }', /media\.rtpengine — names no instance; write address/],
      ['{ rtpengine: { instances: [] } }', /instances — is empty/],
      [`{ rtpengine: { address: ${one}, instances: [{ address: ${one} }] } }`, /is given beside instances/],
      [
        `{ rtpengine: { instances: [{ address: ${one} }, { address: ${one} }] } }`,
        /instances\[1\]\.address — is there twice/,
      ],
      [`{ rtpengine: { address: ${one}, weight: 0 } }`, /weight — leaves no instance for new calls/],
      ['{ rtpengine: { address: "127.0.0.1:0" } }', /has port 0/],
      ['{ rtpengine: { address: "engine:2223" } }', /is a name, not an IP address/],
      [`{ rtpengine: { address: ${one} }, profiles: { "a b": {} } }`, /is not a name for a profile/],
      [`{ rtpengine: { address: ${one} }, profiles: { a: { offer: { ise: force } } } }`, /ise/],
      [`{ backend: rtpproxy, rtpengine: { address: ${one} } }`, /is not one of rtpengine/],
    ]
    for (const [media, expected] of cases) assert.match(bad(media).join('\n'), expected, media)
  })
})
