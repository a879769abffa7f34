import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseHosts, parseResolvConf } from '../../../src/net/dns/system.ts'

describe('/etc/resolv.conf', () => {
  it('names servers, search domains and ndots', () => {
    const text = `# a comment
nameserver 192.0.2.53 ; the first
nameserver 2001:db8::53
nameserver not-an-address
domain Old.example
search NS.svc.Local. local
options timeout:2 ndots:5
`
    assert.deepEqual(parseResolvConf(text), {
      servers: [
        { host: '192.0.2.53', port: 53 },
        { host: '2001:db8::53', port: 53 },
      ],
      search: ['ns.svc.local', 'local'],
      ndots: 5,
    })
  })

  it('without a server means this machine', () => {
    assert.deepEqual(parseResolvConf(''), {
      servers: [{ host: '127.0.0.1', port: 53 }],
      search: [],
      ndots: 1,
    })
  })
})

describe('/etc/hosts', () => {
  it('gives every address of every name', () => {
    const text =
      '127.0.0.1 localhost\n::1 localhost ip6-localhost # us\n192.0.2.1\tPBX.example. pbx\nnonsense\n'
    assert.deepEqual(parseHosts(text), {
      localhost: ['127.0.0.1', '::1'],
      'ip6-localhost': ['::1'],
      'pbx.example': ['192.0.2.1'],
      pbx: ['192.0.2.1'],
    })
  })

  it('may hold names that objects have', () => {
    assert.deepEqual(Object.keys(parseHosts('192.0.2.1 constructor __proto__\n')), [
      'constructor',
      '__proto__',
    ])
  })
})
