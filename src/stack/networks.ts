import { BlockList, isIP } from 'node:net'

/** Whether an IP address lies in one of these networks: `10.0.0.0/8`, `2001:db8::/32`, or an address alone. */
export function networks(cidrs: readonly string[]): (host: string) => boolean {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/')
    const type = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, Number(bits ?? (type === 'ipv6' ? 128 : 32)), type)
  }
  return (host) => {
    const address = host.split('%', 1)[0] ?? ''
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
}
