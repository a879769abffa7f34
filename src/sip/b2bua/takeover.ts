import type { Bridge } from './bridge.ts'
import type { Found } from './bridge-user.ts'
import { type Content, NOTHING, type Outcome } from './events.ts'
import { refusalFor } from './plan.ts'
import { UacLeg } from './uac-leg.ts'

/** The two are the first who talk in this call. */
const FIRST = { pair: 0, from: 'callee', early: false } as const

/**
 * The caller of `bridge` comes in the place of a party of another call (RFC 3891): whom that party talks to is put through to
 * the caller by re-INVITE, and the party is hung up. When it is a callee that rings, the call is picked up.
 * @param content the caller's description
 */
export function takeOver(bridge: Bridge, found: Found, content: Content | null): void {
  const { caller } = bridge
  if (caller === null) return
  if (!found.session.confirmed) {
    pickUp(bridge, found, content)
    return
  }
  const remaining = found.bridge.parties.peerOf(found.session)
  if (remaining === null || !remaining.confirmed) {
    bridge.refuse(refusal(481))
    return
  }
  const before = remaining.descriptions.last
  const own = caller.branch('own')
  remaining.modify('INVITE', content, [], answered, true)

  function answered(outcome: Outcome): void {
    if (outcome.status >= 300) bridge.refuse(gone(outcome) ? refusal(481) : refusalFor(outcome))
    else {
      const what = content === null ? 'offer' : 'answer'
      const then = (said: Content | null, ok: boolean): void => taken(outcome, said, ok)
      bridge.talk.relay(what, remaining ?? own, own, outcome.content, then, FIRST)
    }
  }

  function taken(outcome: Outcome, said: Content | null, ok: boolean): void {
    if (remaining === null) return
    if (ok && bridge.state === 'calling') {
      const leg = bridge.adopt(found, remaining, 'us')
      const callee = leg instanceof UacLeg ? leg : null
      const told = { status: 200, reason: null, headers: outcome.headers, content: said }
      bridge.answeredBy(callee, remaining, 'own', told)
      return
    }
    // The caller has given up, or its description cannot be had: the two who talked go on.
    if (content === null) remaining.ack(null)
    remaining.modify('INVITE', before, [], () => undefined, true)
    bridge.refuse(refusal(488))
  }
}

/**
 * The two have made an offer each, and neither can be taken back: each is the other's answer, which may have more formats than
 * the offer (RFC 3264 §6.1), but not other media.
 */
function pickUp(bridge: Bridge, { bridge: other, session }: Found, content: Content | null): void {
  const { caller } = bridge
  const offer = other.offered
  if (caller === null) return
  if (!other.rings(session)) bridge.refuse(refusal(481))
  else if (content === null || offer === null || media(content) !== media(offer)) bridge.refuse(refusal(488))
  else {
    const own = caller.branch('own')
    other.talk.relay(
      'answer',
      own,
      session,
      content,
      (answer, ok) => {
        if (bridge.state !== 'calling') return
        if (!ok) bridge.refuse(refusal(488))
        else if (!other.rings(session)) bridge.refuse(refusal(481))
        else {
          bridge.answer({ status: 200, reason: null, headers: [], content: offer })
          other.adopt({ bridge, session: own }, own, 'us')
          const told = { status: 200, reason: null, headers: [], content: answer }
          other.answeredBy(null, own, 'picked up', told)
        }
      },
      FIRST,
    )
  }
}

/** Kinds and transports of the media of a description, in order. */
function media({ body }: Content): string {
  return [...body.matchAll(/^m=(\S+) \d+(?:\/\d+)? (\S+)/gm)].map(([, kind, by]) => `${kind} ${by}`).join()
}

function gone({ status }: Outcome): boolean {
  return status === 408 || status === 481 || status === 487
}

function refusal(status: number): Outcome {
  return { status, reason: null, ...NOTHING }
}
