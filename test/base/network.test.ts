import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { contains, Networks, parseGroups, parseNetwork, sourceOf } from '../../src/base/network.ts'

describe('networks', () => {
  it('are read in both families', () => {
    for (const text of [
      '192.0.2.0/24',
      '0.0.0.0/0',
      '10.1.2.3',
      '::/0',
      '2001:db8::/32',
      '::1',
      'fe80::/10',
      '::ffff:0:0/96',
    ])
      assert.ok(parseNetwork(text), text)
  })
  it('are refused when they are none', () => {
    for (const text of [
      '',
      'example.com',
      '192.0.2.0/33',
      '192.0.2.1/24',
      '192.0.2',
      '192.0.2.256',
      '010.0.0.1',
      '2001:db8::/129',
      '1::2::3',
      '2001:db8::1/32',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '192.0.2.0/',
      '192.0.2.0/ 8',
      '::12345',
      '/8',
    ])
      assert.equal(parseNetwork(text), null, text)
  })
  it('contain addresses by their first bits', () => {
    const inside = (network: string, address: string): boolean => {
      const [n, a] = [parseNetwork(network), parseGroups(address)]
      assert.ok(n && a)
      return contains(n, a)
    }
    assert.ok(inside('192.0.2.0/25', '192.0.2.127'))
    assert.ok(!inside('192.0.2.0/25', '192.0.2.128'))
    assert.ok(inside('192.0.2.0/25', '::ffff:192.0.2.1'))
    assert.ok(inside('2001:db8::/33', '2001:db8:7fff::1'))
    assert.ok(!inside('2001:db8::/33', '2001:db8:8000::1'))
    assert.ok(inside('0.0.0.0/0', '203.0.113.9'))
    assert.ok(!inside('0.0.0.0/0', '2001:db8::1'))
    assert.ok(inside('::/0', '203.0.113.9'))
    assert.ok(inside('fe80::/10', 'fe80::1%eth0'))
  })
})

describe('the source of an address', () => {
  it('is an IPv4 address itself, mapped or not, and the /64 of an IPv6 address', () => {
    assert.equal(sourceOf('192.0.2.1'), '192.0.2.1')
    assert.equal(sourceOf('::ffff:192.0.2.1'), '192.0.2.1')
    assert.equal(sourceOf('::ffff:c000:201'), '192.0.2.1')
    assert.equal(sourceOf('2001:db8::1'), '2001:db8:0:0::/64')
    assert.equal(sourceOf('2001:DB8:0:0:ffff::'), '2001:db8:0:0::/64')
    assert.equal(sourceOf('fe80::1%eth0'), 'fe80:0:0:0::/64')
  })
  it('is its own source', () => {
    for (const host of ['192.0.2.1', '2001:db8::1', '::1'])
      assert.equal(sourceOf(sourceOf(host)), sourceOf(host))
  })
})

describe('a set of networks', () => {
  it('has the addresses of each, of both families, IPv4 in its mapped form too', () => {
    const set = new Networks(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'])
    const inside = ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.7', '2001:db8:1::1', '2001:db8::1%eth0']
    assert.deepEqual(
      inside.map((ip) => set.has(ip)),
      inside.map(() => true),
    )
    const outside = ['11.0.0.1', '192.0.2.8', '2001:db9::1', 'example.com', '']
    assert.deepEqual(
      outside.map((ip) => set.has(ip)),
      outside.map(() => false),
    )
  })
})
