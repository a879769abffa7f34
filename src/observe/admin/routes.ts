// oxlint-disable oxc/no-async-endpoint-handlers -- the rule is about Express; fastify catches what a handler rejects with
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { STATUS_CODES } from 'node:http'
import { Readable } from 'node:stream'
import { z } from 'zod'
import type { MetricsEndpoint } from './metrics-endpoint.ts'
import { readPage, streamList } from './paging.ts'
import type { AdminPort, Page, PageRequest } from './port.ts'
import { PROBLEM_TYPE, ProblemError } from './problem.ts'
import * as schemas from './schemas.ts'

export interface RouteContext {
  readonly port: AdminPort
  readonly metrics: MetricsEndpoint
  readonly tokenSet: boolean
  readonly protectReads: boolean
}

type PageQuery = z.output<typeof schemas.registrationsPage>

/** An engine that has not ticked for this long is stuck: liveness fails, and the orchestrator restarts the node. */
const STUCK_MS = 10_000
const PORT_TIMEOUT_MS = 5_000

/** Contract §4. */
export function addRoutes(
  app: FastifyInstance,
  { port, metrics, tokenSet, protectReads }: RouteContext,
): void {
  const api = app.withTypeProvider<ZodTypeProvider>()
  const writes = tokenSet ? { security: [{ token: [] }] } : {}
  const reads = tokenSet && protectReads ? writes : {}
  // What the guard refuses: without the token, or where there is none, what web pages send.
  const anywhere = tokenSet ? [] : [403]
  const refusedReads = tokenSet && protectReads ? [401] : anywhere
  const refusedWrites = tokenSet ? [401] : anywhere

  app.get(
    '/admin/health',
    {
      schema: {
        summary: 'Liveness: stays 200 through a drain',
        response: { 200: schemas.health, 503: schemas.health, ...problems(...anywhere) },
      },
    },
    (_req, reply) => {
      const { engineTickedMsAgo, uptimeSeconds } = port.health()
      const uptime_seconds = Math.floor(uptimeSeconds)
      if (engineTickedMsAgo < STUCK_MS) return reply.send({ status: 'ok' as const, uptime_seconds })
      return reply.code(503).send({ status: 'stuck' as const, uptime_seconds })
    },
  )
  app.get(
    '/admin/ready',
    {
      schema: {
        summary: 'Readiness: 503 while starting and from SIGTERM on',
        response: { 200: schemas.ready, 503: schemas.ready, ...problems(...anywhere) },
      },
    },
    (_req, reply) => {
      const status = port.ready()
      return reply.code(status === 'ready' ? 200 : 503).send({ status })
    },
  )
  api.get(
    '/admin/stats',
    {
      schema: {
        summary: 'Levels and totals',
        ...reads,
        response: { 200: schemas.stats, ...problems(...refusedReads, 503) },
      },
    },
    async () => {
      const uptime_seconds = Math.floor(port.health().uptimeSeconds)
      return { ...(await inTime(port.stats())), uptime_seconds }
    },
  )
  app.get(
    '/admin/registrations',
    {
      schema: {
        summary: 'Contacts; with limit, a page of them, and the next one in X-Next-Cursor and Link',
        ...reads,
        querystring: schemas.registrationsPage,
        response: { 200: z.array(schemas.contact), ...problems(...refusedReads, 400, 503) },
      },
    },
    (req, reply) =>
      sendList(reply, '/admin/registrations', req.query as PageQuery, (page) => port.registrations(page)),
  )
  api.get(
    '/admin/registrations/:aor',
    {
      schema: {
        summary: 'The contacts of one address-of-record',
        ...reads,
        params: schemas.aorParameter,
        response: { 200: schemas.registration, ...problems(...refusedReads, 400, 404, 503) },
      },
    },
    async (req) => {
      const found = await inTime(port.registration(req.params.aor))
      if (found === null) throw new ProblemError(404, 'This address-of-record has no contact.')
      return { aor: found.aor, contacts: [...found.contacts] }
    },
  )
  api.delete(
    '/admin/registrations/:aor',
    {
      schema: {
        summary: 'Remove the contacts of one address-of-record; the phone is not told',
        ...writes,
        params: schemas.aorParameter,
        response: { 200: schemas.removed, ...problems(...refusedWrites, 400, 404, 503) },
      },
    },
    async (req) => {
      const aor = await inTime(port.removeRegistration(req.params.aor))
      if (aor === null) throw new ProblemError(404, 'This address-of-record has no contact.')
      return { status: 'removed' as const, aor }
    },
  )
  app.get(
    '/admin/calls',
    {
      schema: {
        summary: 'Live calls; pages as of registrations',
        ...reads,
        querystring: schemas.callsPage,
        response: { 200: z.array(schemas.call), ...problems(...refusedReads, 400, 503) },
      },
    },
    (req, reply) => sendList(reply, '/admin/calls', req.query as PageQuery, (page) => port.calls(page)),
  )
  api.delete(
    '/admin/calls/:id',
    {
      schema: {
        summary: 'Hang a call up (calls that SIPhon is a party of)',
        ...writes,
        params: schemas.idParameter,
        response: { 200: schemas.hungUp, ...problems(...refusedWrites, 400, 404, 409, 503) },
      },
    },
    async (req) => {
      const result = await inTime(port.hangUp(req.params.id))
      if (result === 'not_found') throw new ProblemError(404, 'There is no such call.')
      if (result === 'proxied') {
        throw new ProblemError(
          409,
          'This call is proxied: a proxy is no party of a call and cannot send a BYE (RFC 3261 §16).',
        )
      }
      return { status: 'hung_up' as const, id: req.params.id }
    },
  )
  app.get(
    '/admin/bans',
    {
      schema: {
        summary: 'Banned sources; pages as of registrations',
        ...reads,
        querystring: schemas.bansPage,
        response: { 200: z.array(schemas.ban), ...problems(...refusedReads, 400, 503) },
      },
    },
    (req, reply) => sendList(reply, '/admin/bans', req.query as PageQuery, (page) => port.bans(page)),
  )
  api.delete(
    '/admin/bans/:ip',
    {
      schema: {
        summary: 'Lift a ban, whatever it is for',
        ...writes,
        params: schemas.ipParameter,
        response: { 200: schemas.unbanned, ...problems(...refusedWrites, 400, 404, 503) },
      },
    },
    async (req) => {
      const ip = await inTime(port.liftBan(req.params.ip))
      if (ip === null) throw new ProblemError(404, 'This source is not banned.')
      return { status: 'unbanned' as const, ip }
    },
  )
  app.get(
    '/admin/gateways',
    {
      schema: {
        summary: 'Groups of gateways and the health of their destinations',
        ...reads,
        response: { 200: z.array(schemas.gatewayGroup), ...problems(...refusedReads, 503) },
      },
    },
    async (_req, reply) => reply.send(await inTime(port.gateways())),
  )
  api.post(
    '/admin/gateways/:group/:destination/:to',
    {
      schema: {
        summary: 'Take a destination out until it is put back, whatever probes say; or put it back',
        ...writes,
        params: schemas.gatewayParameter,
        response: { 200: schemas.marked, ...problems(...refusedWrites, 400, 404, 503) },
      },
    },
    async (req) => {
      const { group, destination, to } = req.params
      const done = await inTime(port.markGateway(group, destination, to))
      if ('unknown' in done) throw new ProblemError(404, `There is no such ${done.unknown}.`)
      return { status: to, group, destination: done.destination }
    },
  )
  api.get('/admin/openapi.json', { schema: { hide: true } }, (_req, reply) =>
    reply
      .type('application/json')
      .serializer((body: unknown) => JSON.stringify(body))
      .send(app.swagger()),
  )
  app.get('/metrics', { schema: { hide: true } }, (req, reply) => {
    reply.hijack()
    return metrics.answer(req.raw, reply.raw)
  })
}

/** These statuses are answered with a problem. */
function problems(...statuses: readonly number[]) {
  const content = { [PROBLEM_TYPE]: { schema: schemas.problem } }
  return Object.fromEntries(
    statuses.map((status) => [status, { description: STATUS_CODES[status], content }]),
  )
}

async function sendList<T>(
  reply: FastifyReply,
  path: string,
  query: PageQuery,
  read: (page: PageRequest) => Promise<Page<T>>,
): Promise<FastifyReply> {
  void reply.type('application/json; charset=utf-8').serializer((body: unknown) => JSON.stringify(body))
  const cursor = query.cursor ?? null
  const readInTime = (page: PageRequest): Promise<Page<T>> => inTime(read(page))
  if (query.limit === undefined) {
    if (reply.request.method !== 'HEAD') return reply.send(await streamList(readInTime, cursor))
    // The length of GET is not known before its end, so HEAD names none. Whether GET would be an error one entry tells.
    await readInTime({ limit: 1, cursor })
    return reply.send(Readable.from([]))
  }
  const page = await readPage(readInTime, { limit: query.limit, cursor })
  if (page.next !== null) {
    const next = encodeURIComponent(page.next)
    void reply
      .header('x-next-cursor', page.next)
      .header('link', `<${path}?limit=${query.limit}&cursor=${next}>; rel="next"`)
  }
  return reply.send(page.items)
}

/** An engine that is stuck must not hold connections: 503 instead. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new ProblemError(503, 'The engine did not answer in time.')),
      PORT_TIMEOUT_MS,
    )
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
