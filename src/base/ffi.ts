/** Functions of the C library, by node:ffi. */
export interface Ffi<Functions> {
  dlopen(
    path: null,
    functions: Record<string, { arguments: string[]; return: string }>,
  ): { functions: Functions }
  getRawPointer(buffer: Buffer): bigint
}

/** Null where node does not have it. */
export function loadFfi<Functions>(): Ffi<Functions> | null {
  // The module announces on every start that it is experimental; that is told in decision 0010, once.
  const emit = process.emitWarning
  process.emitWarning = () => {}
  try {
    return (process.getBuiltinModule('node:ffi') as unknown as Ffi<Functions> | undefined) ?? null
  } catch {
    return null
  } finally {
    process.emitWarning = emit
  }
}
