import type { Config } from '../config/config.ts'
import type { HandlerSettings } from '../script/conversation.ts'

/** What the APIs of scripts know of the configuration without asking the engine. */
export function handlerSettings(_config: Config): HandlerSettings {
  return {}
}
