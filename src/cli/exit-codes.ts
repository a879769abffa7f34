/** Exit codes, after sysexits(3) where it has one: service managers must not restart what only an editor can mend. */
export const EXIT = { ok: 0, failure: 1, usage: 2, internal: 70, configuration: 78 } as const
