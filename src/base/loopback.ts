import { BlockList, isIPv4 } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** 127.0.0.0/8, ::1, and the former written as IPv6. `host` is an IP address without brackets. */
export function isLoopback(host: string): boolean {
  return loopback.check(host, isIPv4(host) ? 'ipv4' : 'ipv6')
}
