import type { Guard } from '../core/security/guard.ts'
import type { Service } from '../script/conversation.ts'

/** What scripts may ask of the guard: `security.ban`, `unban`, `isBanned`. The API has checked what it sends. */
export function banServices(guard: Guard): [name: string, service: Service][] {
  return [
    [
      'security.ban',
      (args, answer, refuse) => {
        const [ip, seconds, reason] = [args.string(), args.number(), args.string()]
        const done = guard.ban(ip, { seconds, reason })
        if (done === 'no_address') refuse(`security.ban: ${ip} is not an IP address`)
        else answer([done === 'banned' ? 1 : 0])
      },
    ],
    ['security.unban', (args, answer) => answer([guard.unban(args.string()) ? 1 : 0])],
    ['security.isBanned', (args, answer) => answer([guard.isBanned(args.string()) ? 1 : 0])],
  ]
}
