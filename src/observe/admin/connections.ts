import type { Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { PROBLEM_TYPE, problemBody } from './problem.ts'

/** How long peers may take, and how many there may be. Small: probes, scrapers and a few operators use these ports. */
export const HTTP_LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
} as const
const MAX_CONNECTIONS = 256
const MAX_RESPONSE_MS = 60_000

/**
 * Keeps room for probes while somebody holds connections open without using them (slow requests, slow readers): past
 * the ceiling the oldest connection that is not being answered gives way, and no answer takes longer than a minute.
 */
export function guardConnections(server: Server): void {
  const open = new Set<Duplex>()
  const answering = new Set<Duplex>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    if (open.size <= MAX_CONNECTIONS) return
    for (const candidate of open) {
      if (answering.has(candidate)) continue
      open.delete(candidate)
      candidate.destroy()
      return
    }
    socket.destroy()
  })
  server.on('request', (req, res: ServerResponse) => {
    const { socket } = req
    answering.add(socket)
    const deadline = setTimeout(() => socket.destroy(), MAX_RESPONSE_MS)
    deadline.unref()
    res.once('close', () => {
      clearTimeout(deadline)
      answering.delete(socket)
    })
  })
}

const REFUSALS: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'The request line and header fields are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long.'],
}

/** Answers what is not an HTTP request, and closes. */
export function refuseClientError(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, detail] = REFUSALS[error.code ?? ''] ?? [400, 'This is not a valid HTTP request.']
  const { title, ...rest } = problemBody(status, detail)
  const body = JSON.stringify({ title, ...rest })
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: ${PROBLEM_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    // A peer that never reads would keep the socket.
    () => socket.destroy(),
  )
}
