/**
 * A mistake in a script: a header that may not be set, a status that does not exist, an `extra` that is no JSON.
 * Not caught by the script, it ends the handler: the request gets a 500 and the failure is counted and logged with its place.
 */
export class ScriptError extends Error {
  readonly code = 'SIPHON_SCRIPT'

  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'ScriptError'
  }
}
