import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start, type Running } from './programs.ts'
import { freePort } from './siphon.ts'

export interface BaresipOptions {
  readonly user: string
  /** Of the server, UDP. */
  readonly sip: number
  /** Keys in SDP (RFC 4568), or nothing. */
  readonly srtp?: boolean
  /** A WAV file (8 kHz, 16 bits, mono) to be heard from it; else it says back what it hears. */
  readonly plays?: string
  readonly args?: readonly string[]
}

/** A baresip that registers and answers by itself. The caller stops it. */
export async function startBaresip({
  user,
  sip,
  srtp = false,
  plays,
  args = [],
}: BaresipOptions): Promise<Running> {
  const home = mkdtempSync(join(tmpdir(), 'baresip-'))
  const modules = ['g711.so', 'aubridge.so', 'aufile.so', ...(srtp ? ['srtp.so'] : [])]
  const config = [
    'module_path /usr/lib/baresip/modules',
    ...modules.map((name) => `module ${name}`),
    'module_tmp account.so',
    'module_app menu.so',
    `sip_listen 127.0.0.1:${await freePort()}`,
    plays === undefined ? `audio_source aubridge,${user}` : `audio_source aufile,${plays}`,
    `audio_player aubridge,${user}`,
    'audio_alert aubridge,alert',
  ]
  writeFileSync(join(home, 'config'), `${config.join('\n')}\n`)
  const media = srtp ? ';mediaenc=srtp-mand' : ''
  const account = `<sip:${user}@example.com>;outbound="sip:127.0.0.1:${sip}";regint=60;answermode=auto${media}\n`
  writeFileSync(join(home, 'accounts'), account)
  writeFileSync(join(home, 'contacts'), '')
  return start('baresip', ['-f', home, ...args])
}
