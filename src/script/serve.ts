import type { BatchReader, Item, Service, Services } from './conversation.ts'

/** Where a service's answer goes. */
export interface Asker {
  result(question: number, items: readonly Item[]): void
  refused(question: number, what: string): void
}

/**
 * Runs a service for a worker's question. Exactly one answer is passed on, whatever the service does; what it throws is a
 * refusal, and the script's error.
 * @param answered called after each answer, so that it is posted
 */
export function serve(
  services: Services,
  question: { readonly id: number; readonly service: string; readonly args: BatchReader },
  asker: Asker,
  answered: () => void,
): void {
  let over = false
  const once = (say: () => void): void => {
    if (over) return
    over = true
    say()
    answered()
  }
  const refuse = (what: string): void => once(() => asker.refused(question.id, what))
  const service: Service | undefined = services.get(question.service)
  if (service === undefined) {
    refuse(`this server has no ${question.service}`)
    return
  }
  try {
    service(question.args, (items) => once(() => asker.result(question.id, items)), refuse)
  } catch (error) {
    refuse(error instanceof Error ? error.message : String(error))
  }
}
