import { ScriptError } from './script-error.ts'
import { services } from './services.ts'
import { show } from './checks.ts'

const LONGEST_REASON = 200
const LONGEST_BAN_SECS = 31_536_000

/** Bans of sources. They are the server's: all workers see them, and a reload of the script changes none. */
export const security = {
  /**
   * Drop what this source sends, from now on: datagrams before they are parsed, connections at once. Of an IPv6 address,
   * its whole /64 is banned. A ban that is there already is only ever made longer.
   * @param ip an IP address, such as `request.sourceIp`
   * @param seconds 1 to 31,536,000 (a year)
   * @param reason what the admin API and the log say; printable ASCII, at most 200 characters
   * @returns false when the source is one of `security.trusted_cidrs`, which are never banned
   * @throws ScriptError for what is no address, no such duration, no such text
   */
  async ban(ip: string, seconds: number, reason = 'script'): Promise<boolean> {
    if (typeof seconds !== 'number' || !(seconds >= 1 && seconds <= LONGEST_BAN_SECS)) {
      throw new ScriptError(`security.ban: ${show(seconds)} is not a number of seconds from 1 to a year`)
    }
    if (typeof reason !== 'string' || reason.length > LONGEST_REASON || !/^[\x20-\x7e]+$/.test(reason)) {
      throw new ScriptError(
        `security.ban: ${show(reason)} is not a reason: printable ASCII, at most 200 characters`,
      )
    }
    return (await services().call('security.ban', address(ip, 'ban'), seconds, reason)).number() === 1
  },

  /**
   * Lift a ban, whatever it was for.
   * @returns false when there was none
   */
  async unban(ip: string): Promise<boolean> {
    return (await services().call('security.unban', address(ip, 'unban'))).number() === 1
  },

  /** Whether what this source sends is dropped now. */
  async isBanned(ip: string): Promise<boolean> {
    return (await services().call('security.isBanned', address(ip, 'isBanned'))).number() === 1
  },
}

function address(ip: unknown, verb: string): string {
  if (typeof ip === 'string' && /^[0-9A-Fa-f.:]{2,45}$/.test(ip)) return ip
  throw new ScriptError(`security.${verb}: ${show(ip)} is not an IP address`)
}
