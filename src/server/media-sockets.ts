import type { Looks } from '../base/looks.ts'
import type { MediaEngine } from '../media/media-engine.ts'
import { openUdp, type Peer } from '../net/udp.ts'

/** One UDP socket for each address family that instances have. Then their health is asked for the first time. */
export async function openMediaSockets(engine: MediaEngine, looks: Looks): Promise<void> {
  const families = new Set(engine.instances.map(({ address }) => (address.host.includes(':') ? 6 : 4)))
  for (const family of families) {
    const { client } = engine
    const socket = await openUdp(
      { host: family === 6 ? '::' : '0.0.0.0', port: 0 },
      {
        onDatagram: (bytes, host, port) => client.receive(bytes.toString('latin1'), host, port),
        // What could not be sent has no answer: the command runs into its time limit, and that is counted.
        onError: () => undefined,
      },
      looks,
    )
    const peers = new Map<string, Peer>()
    client.use(family, {
      send: (text, { host, port }) => {
        const key = `${host} ${port}`
        let peer = peers.get(key)
        if (peer === undefined) peers.set(key, (peer = socket.peer(host, port)))
        socket.send(text, peer)
      },
      close: () => socket.close(),
    })
  }
  engine.start()
}
