import type { KeyedTimers } from '../../core/keyed-timers.ts'
import type { Service } from '../../script/conversation.ts'

/**
 * `timer.set` and `timer.cancel` of scripts, on the engine thread: a question that is answered when the time has come.
 * The worker that asked runs what is due, while it lives.
 * @param generation of the serving script
 */
export function timerServices(timers: KeyedTimers, generation: () => number): [string, Service][] {
  return [
    [
      'timer.set',
      (args, answer) => {
        const key = args.string()
        const setBy = args.number()
        timers.enter(generation())
        const room = timers.set(key, setBy, args.number(), (due) =>
          answer([due && setBy >= generation() ? 1 : 0]),
        )
        if (!room) throw new Error('timer.set: too many timers are set')
      },
    ],
    ['timer.cancel', (args, answer) => answer([Number(timers.cancel(args.string()))])],
  ]
}
