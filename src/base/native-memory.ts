import { loadFfi } from './ffi.ts'

interface Allocator {
  malloc_trim(keep: bigint): number
}

function load(): (() => void) | null {
  if (process.platform !== 'linux') return null
  try {
    const { functions } = loadFfi<Allocator>()?.dlopen(null, {
      malloc_trim: { arguments: ['uint64'], return: 'int32' },
    }) ?? { functions: null }
    return functions && (() => void functions.malloc_trim(0n))
  } catch {
    // musl has no such function, and no need of one.
    return null
  }
}

/**
 * Returns to the system what C code has freed: buffers, and what threads that have ended had. glibc keeps a heap for each
 * thread and returns of it only what is free at its end. Null where there is no such function.
 */
export const trimMemory: (() => void) | null = load()
