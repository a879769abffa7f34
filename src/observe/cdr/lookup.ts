import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'

/**
 * A `lookup` for many connections to one host: those that ask at the same time share one question. A DNS server that is
 * silent blocks a thread of libuv's pool for each question, and the pool (4) also serves the CDR file.
 */
export function sharedLookup(): LookupFunction {
  const asking = new Map<string, Promise<LookupAddress[]>>()
  return (hostname, options, callback) => {
    let answer = asking.get(hostname)
    if (!answer) {
      answer = new Promise((resolve, reject) => {
        dnsLookup(hostname, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)))
      })
      asking.set(hostname, answer)
      const forget = (): void => void asking.delete(hostname)
      answer.then(forget, forget)
    }
    answer.then(
      (addresses) => {
        const usable = addresses.filter((a) => !options.family || options.family === a.family)
        const [first] = usable
        if (!first)
          callback(Object.assign(new Error(`no address for ${hostname}`), { code: 'ENOTFOUND' }), '', 4)
        else if (options.all) callback(null, usable)
        else callback(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 4),
    )
  }
}
