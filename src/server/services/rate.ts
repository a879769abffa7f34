import type { RateWindow } from '../../core/rate-window.ts'
import type { Service } from '../../script/conversation.ts'

/** `proxy.rateLimit` of scripts, on the engine thread, so that all workers count together. */
export function rateServices(rates: RateWindow): [string, Service][] {
  return [
    [
      'proxy.rateLimit',
      (args, answer) => {
        const source = args.string()
        const windowMs = args.number()
        const max = args.number()
        // Limits of another size count for themselves.
        answer([Number(rates.within(`${windowMs}/${max}/${source}`, windowMs, max))])
      },
    ],
  ]
}
