import type { Config } from '../config/config.ts'
import { sourcesOf } from '../core/gateway/group.ts'
import type { HandlerSettings } from '../script/conversation.ts'
import { gatewaySettings } from './gateway-settings.ts'

/** What the APIs of scripts know of the configuration without asking the engine. */
export function handlerSettings(config: Config): HandlerSettings {
  return {
    gatewaySources: Object.fromEntries(
      config.gateway.groups.map((group) => [group.name, sourcesOf(gatewaySettings(group))]),
    ),
    caches: config.cache.map(({ name }) => name),
  }
}
