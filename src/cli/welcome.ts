import { formatAddress } from '../base/address.ts'
import type { Config } from '../config/config.ts'
import type { ServerAddresses } from '../server/server.ts'

/** What was started, and where each of the four ways can be seen: a line each. */
export function whereToLook(addresses: ServerAddresses, config: Config): string {
  const sip = addresses.sip.map((a) => `${a.protocol} ${formatAddress(a.address)}`).join(', ')
  const records = config.cdr.enabled
    ? config.cdr.backends.map((b) => (b === 'file' ? config.cdr.file.path : b)).join(', ')
    : 'off (cdr.enabled)'
  const hep = config.tracing.hep
  return lines([
    `  SIP      ${sip}`,
    `  script   ${config.script.path}`,
    `  metrics  ${addresses.metrics ?? 'off (metrics.prometheus)'}`,
    `  admin    ${addresses.admin === null ? 'off (admin)' : `${addresses.admin}/admin/stats`}`,
    `  records  ${records}`,
    `  tracing  ${hep ? `HEP ${hep.transport} ${formatAddress(hep.endpoint)}` : 'off (tracing.hep)'}`,
  ])
}

/** What to try first. */
export function hints(addresses: ServerAddresses): string {
  return lines([
    'Try:',
    ...looks(addresses),
    '  npm run siphon -- demo     two simulated phones that call each other (stop this one first)',
  ])
}

/** Commands that show what goes on. */
export function looks({ metrics, admin }: ServerAddresses): string[] {
  return [
    ...(metrics === null ? [] : [`  curl -s ${metrics} | grep siphon_calls`]),
    ...(admin === null ? [] : [`  curl -s ${admin}/admin/registrations`]),
  ]
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('')
}
