import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatFault } from '../../src/config/fault.ts'
import { parseConfig } from '../../src/config/load.ts'
import { gatewaySettings } from '../../src/server/gateway-settings.ts'

const load = (yaml: string) => parseConfig('f', `script: { path: s.ts }\n${yaml}\n`, {})

function bad(yaml: string): string {
  const result = load(yaml)
  assert.ok(!result.ok)
  return result.faults.map(formatFault).join('\n')
}

describe('gateway in siphon.yaml', () => {
  it('needs a name and a URI for each destination, and fills in the rest', () => {
    const result = load(
      'gateway: { groups: [{ name: gws, destinations: [{ uri: "sip:a.example" }, { uri: "sip:b.example", address: "192.0.2.7:5070", transport: tcp, attrs: { cost: 3, where: Köln } }] }] }',
    )
    assert.ok(result.ok, result.ok ? '' : result.faults.map(formatFault).join('\n'))
    const [group] = result.config.gateway.groups.map(gatewaySettings)
    assert.deepEqual(group?.probe, {
      enabled: true,
      intervalMs: 30_000,
      timeoutMs: 5_000,
      failureThreshold: 3,
      successThreshold: 1,
      fromUser: 'siphon',
    })
    assert.deepEqual(group.rerouteCauses, [408, 500, 502, 503, 504, 'transport'])
    assert.deepEqual(
      group.destinations.map(({ name, hop, weight, priority }) => [name, hop, weight, priority]),
      [
        ['gws-1', 'sip:a.example', 1, 1],
        ['gws-2', 'sip:192.0.2.7:5070;transport=tcp', 1, 1],
      ],
    )
    // Binary text: what scripts ask for is compared byte by byte.
    assert.deepEqual(group.destinations[1]?.attrs, { cost: '3', where: 'K\xc3\xb6ln' })
  })

  it('says what is wrong where', () => {
    const one = (more: string, destination = 'uri: "sip:a.example"'): string =>
      `gateway: { groups: [{ name: gws, destinations: [{ ${destination} }]${more} }] }`
    assert.match(bad(one('', 'uri: "http://a"')), /destinations\[0\]\.uri — is not a sip: or sips: URI/)
    assert.match(bad(one('', 'uri: "sip:a", weight: 0')), /weight/)
    assert.match(bad(one(', source_networks: ["10.0.0.0/33"]')), /source_networks\[0\] — is neither/)
    assert.match(bad(one(', reroute_causes: [busy]')), /reroute_causes\[0\] — is no cause/)
    assert.match(bad(one(', probe: { interval_secs: 5, timeout_secs: 5 }')), /timeout_secs — is not below/)
    assert.match(bad(one(', circuit: { hold_secs: 60, max_hold_secs: 5 }')), /max_hold_secs/)
    assert.match(bad('gateway: { groups: [{ name: gws, destinations: [] }] }'), /destinations — is empty/)
    assert.match(
      bad(
        'gateway: { groups: [{ name: g, destinations: [{ name: a, uri: "sip:a" }, { name: a, uri: "sip:b" }] }] }',
      ),
      /destinations\[1\] — has the name a/,
    )
    const twice = '{ name: g, destinations: [{ uri: "sip:a" }] }'
    assert.match(
      bad(`gateway: { groups: [${twice}, ${twice}] }`),
      /groups\[1\]\.name — is the name of another/,
    )
    assert.match(bad('cache: [{ name: a }, { name: a }]'), /cache\[1\]\.name — is the name of another/)
    assert.match(bad('cache: [{ name: a, redis_url: x }]'), /redis_url/)
  })
})
