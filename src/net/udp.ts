import type { Address } from '../base/address.ts'
import { Looks } from '../base/looks.ts'
import { nativeUdp } from '../base/native-udp.ts'
import { DgramEndpoint } from './udp-dgram.ts'
import type { DatagramListener, UdpEndpoint } from './udp-endpoint.ts'
import { NativeEndpoint } from './udp-native.ts'

export { MAX_DATAGRAM, type DatagramListener, type Peer, type UdpEndpoint } from './udp-endpoint.ts'

/**
 * Binds. Rejects when the address cannot be had (EADDRINUSE, EACCES, EADDRNOTAVAIL).
 * @param looks of the thread, for when the socket is busy
 */
export async function openUdp(
  address: Address,
  listener: DatagramListener,
  looks: Looks = new Looks(),
): Promise<UdpEndpoint> {
  // Refused here, it is refused below as well, with a reason that can be told.
  const fd = nativeUdp?.open(address.host, address.port) ?? null
  return fd !== null && nativeUdp !== null
    ? NativeEndpoint.open(nativeUdp, fd, listener, looks)
    : DgramEndpoint.open(address, listener)
}
