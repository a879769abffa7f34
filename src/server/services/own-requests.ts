import type { OwnRequests } from '../../core/own-requests.ts'
import type { Batch, Service } from '../../script/conversation.ts'
import { writeMessage } from '../../script/message-codec.ts'

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
        const own = { purpose: 'script', method, uri, nextHop, fromUser: 'siphon', headers, body } as const
        requests.send({ ...own, contentType, timeoutMs }, (result) => {
          const items: Batch = []
          if (result.ok) writeMessage(items, result.response)
          answer(items)
        })
      },
    ],
  ]
}
