import { digestHash, randomHex } from '../../base/digest-hash.ts'
import type { OwnRequest, OwnRequests } from '../../core/own-requests.ts'
import type { Batch, Service } from '../../script/conversation.ts'
import { writeMessage } from '../../script/message-codec.ts'
import { DigestClient } from '../../sip/auth/digest-client.ts'

/** `proxy.sendRequest` of scripts, on the engine thread. The answer is the final response, or no item when there is none. */
export function ownRequestServices(requests: OwnRequests): [string, Service][] {
  return [
    [
      'proxy.sendRequest',
      (args, answer) => {
        const method = args.string()
        const uri = args.string()
        const nextHop = args.text()
        const timeoutMs = args.number()
        const body = args.string()
        const contentType = args.text()
        const headers: [string, string][] = []
        for (let left = args.number(); left > 0; left--) headers.push([args.string(), args.string()])
        const authenticate = credentials(args.text(), args.text(), args.text())
        const own = { purpose: 'script', method, uri, nextHop, fromUser: 'siphon', headers, body } as const
        requests.send({ ...own, contentType, timeoutMs, ...(authenticate && { authenticate }) }, (result) => {
          const items: Batch = []
          if (result.ok) writeMessage(items, result.response)
          answer(items)
        })
      },
    ],
  ]
}

/** A client for this one request: what it has learned of the peer's nonces goes with it. */
function credentials(
  user: string | null,
  password: string | null,
  realm: string | null,
): OwnRequest['authenticate'] | null {
  if (user === null || password === null) return null
  const client = new DigestClient({
    account: { user, secret: { password }, realm },
    hash: digestHash,
    chance: () => randomHex(32),
  })
  return (challenge, request, tries) => client.retry(challenge, request, tries)
}
