import { z } from 'zod'

/** A block whose keys all have defaults, or that must be there: absent means empty. */
export function block<S extends z.ZodRawShape>(description: string, shape: S) {
  return z
    .strictObject(shape)
    .prefault({} as never)
    .meta({ description })
}

/** A block that turns something on: absent means null. */
export function optionalBlock<S extends z.ZodRawShape>(description: string, shape: S) {
  return z
    .strictObject(shape)
    .optional()
    .transform((given) => given ?? null)
    .meta({ description })
}

/** A list of values. */
export function list<T>(of: z.ZodType<T>): z.ZodType<T[]> {
  return z.array(of)
}
