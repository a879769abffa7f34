import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import type { Address } from '../../base/address.ts'
import type { Clock } from '../../base/clock.ts'

/** One question to one server, over UDP or TCP. */
export interface Exchange {
  /**
   * @param accept gives the answer when the bytes are one, null otherwise: over UDP the wait goes on then
   * @param then called once; null: refused, unreachable, or nothing acceptable within `timeoutMs`
   */
  <T>(
    server: Address,
    query: Buffer,
    timeoutMs: number,
    accept: (bytes: Buffer) => T | null,
    then: (answer: T | null) => void,
  ): void
}

/**
 * Over UDP, from a port of its own that the kernel draws (RFC 5452 §9.2), and bound to the server: an answer from
 * elsewhere does not come in, and a closed port is told at once.
 */
export function udpExchange(clock: Clock): Exchange {
  return (server, query, timeoutMs, accept, then) => {
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4')
    let open = true
    const end = (answer: Parameters<typeof then>[0]): void => {
      if (!open) return
      open = false
      timer.cancel()
      socket.close()
      then(answer)
    }
    const timer = clock.startTimer(timeoutMs, () => end(null))
    socket.on('error', () => end(null))
    socket.on('message', (bytes) => {
      const answer = open ? accept(bytes) : null
      if (answer !== null) end(answer)
    })
    // Without a route to the server there is no 'error' event: who is called back is given it, which the types do not tell.
    const connected = (error?: Error): void => {
      if (error) end(null)
      else if (open) socket.send(query, (failed) => failed && end(null))
    }
    try {
      socket.connect(server.port, server.host, connected)
    } catch {
      end(null)
    }
  }
}

/** Over TCP (RFC 7766), for answers that do not fit into a datagram. */
export function tcpExchange(clock: Clock): Exchange {
  return (server, query, timeoutMs, accept, then) => {
    const socket = connect({ host: server.host, port: server.port, noDelay: true })
    let open = true
    const chunks: Buffer[] = []
    let got = 0
    const end = (answer: Parameters<typeof then>[0]): void => {
      if (!open) return
      open = false
      timer.cancel()
      socket.destroy()
      then(answer)
    }
    const timer = clock.startTimer(timeoutMs, () => end(null))
    socket.on('error', () => end(null))
    socket.on('close', () => end(null))
    socket.on('connect', () => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(query.length)
      socket.write(Buffer.concat([length, query]))
    })
    socket.on('data', (chunk: Buffer | string) => {
      if (typeof chunk === 'string' || !open) return
      chunks.push(chunk)
      got += chunk.length
      if (got < 2) return
      const bytes = Buffer.concat(chunks)
      const length = bytes.readUInt16BE(0)
      // What comes after the one answer asked for is not ours.
      if (bytes.length >= 2 + length) end(accept(bytes.subarray(2, 2 + length)))
    })
  }
}
