import { isIP, isIPv6 } from 'node:net'
import { z } from 'zod'

/** Bodies of the admin API. They check what is sent, and are what the OpenAPI document is made of. */

export const health = z.object({ status: z.enum(['ok', 'stuck']), uptime_seconds: z.int().min(0) })

export const ready = z.object({ status: z.enum(['starting', 'ready', 'draining']) })

export const stats = z
  .object({ uptime_seconds: z.int().min(0), registrations_active: z.int().min(0) })
  .catchall(z.number())

export const contact = z.object({
  aor: z.string(),
  uri: z.string(),
  q: z.number().min(0).max(1),
  expires_remaining: z.int().min(0).meta({ description: 'Seconds.' }),
  received: z.string().nullable().meta({ description: 'ip:port the REGISTER came from.' }),
  user_agent: z.string().nullable(),
  instance: z.string().optional().meta({ description: 'Device, urn:uuid:… (RFC 5626).' }),
  reg_id: z.int().optional().meta({ description: 'Its flow (RFC 5626).' }),
  path: z.array(z.string()).readonly().optional().meta({ description: 'Routes to it (RFC 3327).' }),
})

export const registration = z.object({ aor: z.string(), contacts: z.array(contact.omit({ aor: true })) })

export const removed = z.object({ status: z.literal('removed'), aor: z.string() })

export const call = z.object({
  id: z.string(),
  call_id: z.string(),
  kind: z.enum(['proxy', 'b2bua']),
  state: z.enum(['calling', 'ringing', 'answered']),
  a_party: z.string(),
  b_party: z.string().nullable(),
  since_seconds: z.int().min(0),
})

export const hungUp = z.object({ status: z.literal('hung_up'), id: z.string() })

export const ban = z.object({
  ip: z.string().meta({ description: 'An IPv4 address, or an IPv6 /64.' }),
  reason: z.string().meta({ description: "rate_limit, failed_auth, or a script's own words." }),
  since: z.string().meta({ description: 'RFC 3339, UTC.' }),
  expires_remaining: z.int().min(0).meta({ description: 'Seconds.' }),
  score: z.int().min(0).meta({ description: 'Weights that led to the ban; 0 for other reasons.' }),
  drops: z.int().min(0).meta({ description: 'Messages and connections refused since.' }),
})

export const unbanned = z.object({ status: z.literal('unbanned'), ip: z.string() })

export const gatewayGroup = z.object({
  name: z.string(),
  algorithm: z.string(),
  up: z.int().min(0).meta({ description: 'Destinations that may be chosen now.' }),
  total: z.int().min(0),
  failure_threshold: z.int().meta({ description: 'Probes missed in a row that mark a destination down.' }),
  destinations: z
    .array(
      z.object({
        name: z.string(),
        uri: z.string(),
        address: z
          .string()
          .nullable()
          .meta({ description: 'Where it is reached, when not where uri leads.' }),
        transport: z
          .string()
          .nullable()
          .meta({ description: 'UDP, TCP, TLS, WS or WSS; null where DNS decides it (RFC 3263 §4.1).' }),
        healthy: z.boolean().meta({ description: 'May be chosen now.' }),
        state: z.enum(['up', 'manual_down', 'held', 'probes_failed', 'circuit_open']),
        checks_missed: z.int().min(0).meta({ description: 'Probes missed in a row.' }),
        consecutive_failures: z.int().min(0).meta({ description: 'The same as checks_missed.' }),
        calls_failed: z.int().min(0).meta({ description: 'Calls failed in a row.' }),
        weight: z.int(),
        priority: z.int(),
        attrs: z.record(z.string(), z.string()),
      }),
    )
    .readonly(),
})

export const marked = z.object({
  status: z.enum(['up', 'down']),
  group: z.string(),
  destination: z.string(),
})

export const problem = z
  .object({ type: z.string(), title: z.string(), status: z.int(), detail: z.string() })
  .meta({ description: 'RFC 9457.' })

/** A query of a list. Without `limit`, the list is sent whole. @param cursor what its cursors look like */
function page(cursor: RegExp) {
  return z.strictObject({
    limit: z.coerce
      .number()
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .meta({ description: 'Most entries of this page.' }),
    cursor: z.string().regex(cursor).optional().meta({ description: 'X-Next-Cursor of the page before.' }),
  })
}

export const registrationsPage = page(/^\d{1,15}\.\d{1,15}$/)

export const callsPage = page(/^\d{1,15}$/)

export const bansPage = page(/^\d{1,15}$/)

export const aorParameter = z.object({
  aor: z
    .string()
    .min(1)
    .max(1024)
    .meta({ description: 'Address-of-record; with or without sip:, percent-encoded or not.' }),
})

export const ipParameter = z.object({
  ip: z
    .string()
    .refine((ip) => isIP(ip) !== 0 || isIPv6(ip.replace(/\/64$/, '')), 'must be an IP address')
    .meta({ description: 'IP address; of an IPv6 address, its /64 is meant.' }),
})

export const gatewayParameter = z.object({
  group: z.string().min(1).max(64),
  destination: z.string().min(1).max(1024).meta({ description: 'Its name, or its URI percent-encoded.' }),
  to: z.enum(['up', 'down'], { error: "action must be 'up' or 'down'" }),
})

export const idParameter = z.object({ id: z.string().min(1).max(512) })
