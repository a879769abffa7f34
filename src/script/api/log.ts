import type { LogLine } from '../../spine/facts.ts'
import { services } from './services.ts'

export type Fields = Readonly<Record<string, unknown>>

function write(level: LogLine['level'], text: unknown, fields: Fields | undefined): void {
  services().log({ level, module: 'script', text: String(text), fields: fields ?? null, at: Date.now() })
}

/** Lines in the server's log. At most 1,000 a second from each worker: what is over is counted and said. */
export const log = {
  debug(text: string, fields?: Fields): void {
    write('debug', text, fields)
  },
  info(text: string, fields?: Fields): void {
    write('info', text, fields)
  },
  warn(text: string, fields?: Fields): void {
    write('warn', text, fields)
  },
  error(text: string, fields?: Fields): void {
    write('error', text, fields)
  },
}
