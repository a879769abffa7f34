import type { Header } from '../../sip/b2bua/events.ts'
import { sdp } from '../../sip/b2bua/headers.ts'
import type { DialPlan } from '../../sip/b2bua/plan.ts'
import { DEFAULT_TIMER } from '../../sip/dialog/session-timer.ts'
import { quoted } from '../../sip/message/name-addr.ts'
import type { B2buaCore } from './b2bua-core.ts'

/** What a script's question holds, in order. */
interface Arguments {
  string(): string
  number(): number
  text(): string | null
}

type Service = (
  args: Arguments,
  answer: (items: readonly (string | number | null)[]) => void,
  refuse: (what: string) => void,
) => void

/**
 * RFC 3725 §4.4: a description without media. Who answers it waits in silence until the other one has answered, too, and is
 * then offered what that one has.
 */
const NO_MEDIA = 'v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n'

/** What scripts may ask of the back-to-back user agent outside of a call's handlers. */
export function b2buaServices(core: B2buaCore, draining: () => boolean): [string, Service][] {
  return [
    [
      'b2bua.originate',
      (args, answer, refuse) => {
        if (draining()) return refuse('the server is draining: no new calls')
        const to = args.string()
        const uri = args.string()
        const display = args.string()
        const connect = args.text()
        const body = args.text()
        const timeoutMs = args.number()
        const nextHop = args.text()
        const headers: Header[] = []
        for (let left = args.number(); left > 0; left -= 2) headers.push([args.string(), args.string()])
        const from = display === '' ? `<${uri}>` : `${quoted(display)} <${uri}>`
        const plan = (target: string, more: Pick<DialPlan, 'content' | 'headers'>): DialPlan => ({
          targets: [{ uri: target, nextHop }],
          strategy: 'parallel',
          rerouteOn: null,
          timeoutMs,
          from,
          to: `<${target}>`,
          maxForwards: 70,
          policy: 'strict',
          timer: DEFAULT_TIMER,
          credentials: null,
          ...more,
        })
        const id = core.originate({
          plan: plan(to, { content: sdp(body ?? NO_MEDIA), headers }),
          connect: connect === null ? null : plan(connect, { content: null, headers: [] }),
        })
        return answer([id])
      },
    ],
    ['b2bua.terminate', (args, answer) => answer([core.terminate(args.string()) ? 1 : 0])],
    [
      'b2bua.refer',
      (args, answer) => {
        const [id, side, to] = [args.string(), args.string(), args.string()]
        const known = core.refer(id, side === 'caller' ? 'caller' : 'callee', to, ({ status }) =>
          answer([status]),
        )
        if (!known) answer([481])
      },
    ],
  ]
}
