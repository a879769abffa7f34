import type { Address } from '../base/address.ts'
import type { ScriptFault } from '../script/conversation.ts'
import { listenFault } from './listen-fault.ts'

/** Why a start came to nothing: the operator's to mend. */
export class StartError extends Error {
  /** The script's fault, when it was the script. */
  readonly script: ScriptFault | null
  constructor(what: string, script: ScriptFault | null = null) {
    super(what)
    this.name = 'StartError'
    this.script = script
  }
}

/** @param key of the configuration that names the address @throws StartError when it cannot be had */
export async function bound(listening: Promise<Address>, key: string, address: Address): Promise<Address> {
  try {
    return await listening
  } catch (error) {
    throw new StartError(listenFault(key, address, error))
  }
}
