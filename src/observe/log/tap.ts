import type { Clock } from '../../base/clock.ts'
import { formatAddress } from '../../base/address.ts'
import type { LogLine } from '../../spine/facts.ts'
import type { Spine } from '../../spine/spine.ts'

/** A stranger can make methods up; a script lacks handlers for fewer. */
const UNHANDLED_TOLD = 20

/** The engine's side of the log: turns facts that an operator wants to read into lines, and hands them on. */
export function attachLogTap(spine: Spine, clock: Clock, push: (line: LogLine) => void): void {
  const say = (
    level: LogLine['level'],
    module: string,
    text: string,
    fields: Readonly<Record<string, unknown>> | null = null,
  ): void => push({ level, module, text, fields, at: clock.wallTime() })

  spine.logged.subscribe(push)
  const unhandled = new Set<string>()
  spine.scriptServes.subscribe(() => unhandled.clear())
  spine.scriptFailed.subscribe(({ handler, reason, where, what, callId }) => {
    if (reason === 'no_handler') {
      // Whoever can send a request could fill the log with it: told once a method, of so many.
      if (unhandled.has(what) || unhandled.size >= UNHANDLED_TOLD) return
      unhandled.add(what)
    }
    say('error', 'script', `${where ?? 'script'}: ${handler}: ${reason}: ${what}`, {
      handler,
      reason,
      where,
      call_id: callId,
    })
  })
  spine.messageFaulted.subscribe(({ path, what }) => {
    say('debug', 'transport', `not a SIP message we can process: ${what}`, {
      from: formatAddress(path.remote),
      transport: path.protocol,
    })
  })
  spine.flowClosed.subscribe(({ path, error }) => {
    if (error === null) return
    say('info', 'transport', `connection cut: ${error}`, {
      from: formatAddress(path.remote),
      transport: path.protocol,
    })
  })
  spine.mediaEngineMoved.subscribe(({ address, up, why }) => {
    if (up) say('info', 'media', `rtpengine ${address} is up`)
    else say('warn', 'media', `rtpengine ${address} is down: ${why}`)
  })
  spine.registrationChanged.subscribe(({ event, aor, contact }) => {
    say('debug', 'registrar', event, { aor, contact })
  })
}
