import type { Content } from './events.ts'
import { isSdp } from './headers.ts'

/** User and session id, version, address: who it is, and the version. */
const ORIGIN = /^o=(\S+ \S+) (\d+) (.*?)(\r?)$/m

/**
 * The origin line of the descriptions that one peer gets. RFC 3264 §8: within a dialog it stays, but for the version, which
 * goes up by one with each change. Descriptions of one party keep to that by themselves; when a transfer puts somebody else in
 * its place, theirs are said in the name of the first.
 */
export class Origin {
  /** Whoever was first, before and after the version; null: nobody was. */
  #first: readonly [user: string, address: string] | null = null
  #version = 0n
  #last = ''
  /** Another one's descriptions have been renamed: the versions are ours from now on. */
  #ours = false

  /** The description as the peer must get it. */
  keep(content: Content): Content {
    const found = isSdp(content) ? ORIGIN.exec(content.body) : null
    if (found === null) return content
    const [line, who = '', version = '0', address = '', end = ''] = found
    const [user, at] = (this.#first ??= [who, address])
    this.#ours ||= who !== user || address !== at
    if (!this.#ours) {
      this.#version = BigInt(version)
      this.#last = content.body
      return content
    }
    if (rest(content.body) !== rest(this.#last)) this.#version++
    this.#last = content.body
    const own = `o=${user} ${this.#version} ${at}${end}`
    return { ...content, body: content.body.replace(line, () => own) }
  }
}

function rest(body: string): string {
  return body.replace(ORIGIN, '')
}
