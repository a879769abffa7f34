import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { errorText } from '../base/error-text.ts'
import type { CheckScript } from './check.ts'
import { EXIT } from './exit-codes.ts'
import type { Format } from './faults.ts'
import { version } from './version.ts'

/** What the commands need of the outside. Commands are imported when they are asked for, so that `--help` is quick. */
export interface Terminal {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly checkScript: CheckScript
}

/** Runs one command line (without node and the program's name). Resolves to the exit code. */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  let code: number = EXIT.ok
  const program = new Command('siphon')
    .description(
      'A SIP proxy, registrar and back-to-back user agent that is programmed in TypeScript and can be seen into.',
    )
    .version(version(), '-V, --version', 'print the version')
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .showHelpAfterError('(siphon --help lists what there is)')

  program
    .command('run')
    .description('run the server')
    .addOption(configOption())
    .action(async (options: { config: string }) => {
      const { runCommand } = await import('./run.ts')
      code = await runCommand(options)
    })
  program
    .command('check')
    .description(
      'check the configuration and the script, without running them; exit 78 when there is a fault',
    )
    .addOption(configOption())
    .addOption(
      new Option('--format <format>', 'how faults are printed').choices(['text', 'json']).default('text'),
    )
    .action(async (options: { config: string; format: Format }) => {
      const { checkCommand } = await import('./check.ts')
      code = await checkCommand(options, terminal)
    })
  program
    .command('demo')
    .description('run the server with two simulated phones that register and call each other')
    .option('-c, --config <file>', 'configuration file; otherwise the quick start of this installation')
    .option('--rate <calls>', 'calls a second, 0.1 to 100', rateOf, 3)
    .action(async (options: { config?: string; rate: number }) => {
      const { demoCommand } = await import('./demo.ts')
      code = await demoCommand({ config: options.config ?? null, callsPerSecond: options.rate })
    })
  program
    .command('init')
    .description(
      'write siphon.yaml, script.ts and tsconfig.json for a project of your own; overwrites nothing',
    )
    .argument('[folder]', 'made when it is not there', '.')
    .action(async (folder: string) => {
      const { initCommand } = await import('./init.ts')
      code = await initCommand(folder, terminal)
    })
  program
    .command('schema')
    .description('print the JSON Schema of siphon.yaml, for editors')
    .addOption(
      new Option('--format <format>', 'json, or the tables of the reference page')
        .choices(['json', 'markdown'])
        .default('json'),
    )
    .action(async (options: { format: 'json' | 'markdown' }) => {
      const { schemaText } = await import('./schema.ts')
      terminal.out(schemaText(options.format))
    })

  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    // commander has printed its own word; help and version are no mistakes.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    terminal.err(`siphon: internal error: ${errorText(error)}\n`)
    return EXIT.internal
  }
}

function configOption(): Option {
  return new Option('-c, --config <file>', 'configuration file').default('siphon.yaml')
}

function rateOf(text: string): number {
  const rate = Number(text)
  if (!(rate >= 0.1 && rate <= 100)) throw new InvalidArgumentError('0.1 to 100 calls a second.')
  return rate
}
