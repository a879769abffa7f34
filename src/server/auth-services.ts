import type { Path, Protocol } from '../base/address.ts'
import type { BatchReader, Service } from '../script/conversation.ts'
import { NonceCounts } from '../sip/auth/nonce-counts.ts'
import type { AuthBackendAsked, CredentialFailure } from '../spine/facts.ts'
import type { Spine } from '../spine/spine.ts'

/** Nonces whose counts are remembered; about 100 bytes each. Phones beyond that are asked again now and then. */
const NONCES_KEPT = 200_000

const USED = { fresh: 0, replayed: 1, stale: 2 } as const

/**
 * What handler threads need of the engine thread to authenticate: the counts of nonces, which all of them share, and somebody
 * who publishes what they decided.
 * @param since wall-clock ms when this server started
 */
export function authServices(spine: Spine, since: number): [name: string, service: Service][] {
  const counts = new NonceCounts(NONCES_KEPT, since)
  const decided = (reason: CredentialFailure | null, path: Path): void => {
    if (spine.authenticated.active) spine.authenticated.publish({ ok: reason === null, reason, path })
  }
  return [
    [
      'auth.use',
      (args, answer) => {
        const id = args.string()
        const used = counts.use(id, args.number(), args.number(), args.number(), args.number())
        decided(used === 'fresh' ? null : used, readPath(args))
        answer([USED[used]])
      },
    ],
    [
      'auth.failed',
      (args, answer) => {
        const reason = args.string() as CredentialFailure
        decided(reason, readPath(args))
        answer([])
      },
    ],
    [
      'auth.asked',
      (args, answer) => {
        spine.authBackendAsked.publish({ outcome: args.string() as AuthBackendAsked['outcome'] })
        answer([])
      },
    ],
  ]
}

function readPath(args: BatchReader): Path {
  const protocol = args.string() as Protocol
  const local = { host: args.string(), port: args.number() }
  return { protocol, local, remote: { host: args.string(), port: args.number() } }
}
