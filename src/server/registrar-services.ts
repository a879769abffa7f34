import type { RegistrarCore } from '../core/registrar-core.ts'
import { type BatchReader, type Item, type Service } from '../script/conversation.ts'
import { writeContacts } from '../script/message-codec.ts'

/** What scripts ask of the registrar, by name; see `registrar` of the script API. */
export function registrarServices(registrar: RegistrarCore): readonly (readonly [string, Service])[] {
  return [
    [
      'registrar.lookupContact',
      (args: BatchReader, answer) => {
        const found = registrar.location.lookupContact(args.string())
        const items: Item[] = []
        writeContacts(items, found === null ? [] : [found])
        answer(items)
      },
    ],
    ['registrar.status', (args, answer) => answer([registrar.location.statusOf(args.string())])],
    [
      'registrar.unregister',
      (args, answer) => answer([registrar.remove(args.string(), 'script') === null ? 0 : 1]),
    ],
    ['registrar.count', (_args, answer) => answer([registrar.registrations])],
  ]
}
