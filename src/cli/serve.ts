import { systemClock } from '../base/clock.ts'
import { errorText } from '../base/error-text.ts'
import type { Config } from '../config/config.ts'
import { createLogWriter } from '../observe/log/writer.ts'
import { Server, type ServerAddresses } from '../server/server.ts'
import { StartError } from '../server/start-error.ts'
import { EXIT } from './exit-codes.ts'
import { faultsAsText } from './faults.ts'
import { leave } from './leave.ts'
import { scriptFault } from './script-fault.ts'
import { version } from './version.ts'

export interface ServeOptions {
  /** Called when calls are taken, with where. */
  readonly onReady: (addresses: ServerAddresses) => void
  /** Called at the first signal; the server drains when it has resolved. */
  readonly beforeDrain?: () => Promise<void>
  /** Called when the server has stopped, whatever the reason. */
  readonly onStopped?: () => void
  /** See `Server.drain`. */
  readonly waitFor?: 'transactions' | 'calls'
}

/**
 * npm sends on the SIGINT that the terminal has sent to us already: so soon after the first it is no second one, ms.
 * Nobody presses twice so fast.
 */
const ECHO_MS = 150

/** Runs a server until it is told to stop. Resolves to the exit code; nothing is left running then. */
export async function serve(config: Config, options: ServeOptions): Promise<number> {
  const log = createLogWriter({ ...config.log, clock: systemClock })
  return new Promise((finish) => {
    const end = (code: number): void => {
      for (const [signal, act] of signals) process.off(signal, act)
      options.onStopped?.()
      void log.close().then(() => finish(code))
    }
    const server = new Server({
      config,
      version: version(),
      log: (line) => log.write(line),
      onCrash: (why) => {
        server.say('error', 'server', why)
        void server.stopNow().then(() => end(EXIT.internal))
      },
    })
    let askedAt: number | null = null
    let abandoned = false
    const stop = (signal: NodeJS.Signals): void => {
      const now = performance.now()
      if (askedAt !== null && signal === 'SIGINT' && now - askedAt < ECHO_MS) return
      const first = askedAt === null
      askedAt = now
      // The second signal waits for nobody but for records; the third not for them.
      if (!first) {
        if (abandoned) return leave(EXIT.failure)
        abandoned = true
        void server.abandon().finally(() => leave(EXIT.failure))
        return
      }
      if (server.state === 'ready') void drain().then(() => end(EXIT.ok), fail)
      else void server.stopNow().then(() => end(EXIT.ok))
    }
    const drain = async (): Promise<void> => {
      await options.beforeDrain?.()
      await server.drain(options.waitFor)
    }
    const fail = (error: unknown): void => {
      if (error instanceof StartError) process.stderr.write(startFault(config, error))
      else server.say('error', 'server', errorText(error))
      void server.stopNow().then(() => end(error instanceof StartError ? codeOf(error) : EXIT.internal))
    }
    const reload = (): void => {
      server.reopen()
      void server.reload()
    }
    const signals: readonly (readonly [NodeJS.Signals, (signal: NodeJS.Signals) => void])[] = [
      ['SIGTERM', stop],
      ['SIGINT', stop],
      ['SIGHUP', reload],
      ['SIGUSR1', () => server.reopen()],
    ]
    for (const [signal, act] of signals) process.on(signal, act)
    // Told to stop while it was starting: then that it did not start is no fault.
    const unlessStopped =
      <T>(act: (value: T) => void) =>
      (value: T): void => {
        if (askedAt === null) act(value)
      }
    server.start().then(unlessStopped(options.onReady), unlessStopped(fail))
  })
}

/** A script that does not load is a configuration fault; a port that is taken is not. */
function codeOf(error: StartError): number {
  return error.script ? EXIT.configuration : EXIT.failure
}

function startFault(config: Config, error: StartError): string {
  if (error.script) return faultsAsText([scriptFault(config.script.path, error.script)], [])
  return `siphon: ${error.message}\n`
}
