import swagger from '@fastify/swagger'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import type { AddressInfo } from 'node:net'
import type { Address } from '../../base/address.ts'
import { guardConnections, HTTP_LIMITS, refuseClientError } from './connections.ts'
import { createGuard, pathOf } from './guard.ts'
import { createMetricsEndpoint, type Scrape } from './metrics-endpoint.ts'
import type { HttpServer } from './metrics-server.ts'
import type { AdminPort } from './port.ts'
import { PROBLEM_TYPE, problemBody } from './problem.ts'
import { addRoutes } from './routes.ts'

export interface AdminServerOptions {
  readonly listen: Address
  readonly token: string | null
  readonly protectReads: boolean
  readonly port: AdminPort
  readonly scrape: Scrape
  /** Version of the server, for the OpenAPI document. */
  readonly version: string
  readonly onFault: (what: string, error: unknown) => void
}

/** The admin API on its own listener. Everything it knows comes through `port`. */
export function createAdminServer(options: AdminServerOptions): HttpServer {
  const app = Fastify({
    http: { ...HTTP_LIMITS },
    requestTimeout: HTTP_LIMITS.requestTimeout,
    keepAliveTimeout: HTTP_LIMITS.keepAliveTimeout,
    bodyLimit: 4096,
    forceCloseConnections: true,
    logger: false,
    clientErrorHandler: refuseClientError,
    frameworkErrors: (_error, _req, reply) => {
      sendProblemReply(reply as FastifyReply, 400, 'The path cannot be decoded.')
    },
    routerOptions: {
      maxParamLength: HTTP_LIMITS.maxHeaderSize,
      caseSensitive: true,
      ignoreDuplicateSlashes: false,
    },
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // No request has a body that means anything: it is read up to the limit and dropped, whatever its type.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_req, _body, done) => done(null))

  const guard = createGuard(options)
  app.addHook('onRequest', (req, reply, done) => {
    void reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
    const refused = guard(req.raw)
    if (refused === null) return done()
    void reply.headers(refused.headers)
    sendProblemReply(reply, refused.status, refused.detail)
  })
  app.setErrorHandler((error: FastifyError, _req, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500 && error.code !== 'SIPHON_ADMIN_PROBLEM') {
      options.onFault('an admin request failed', error)
      sendProblemReply(reply, 500, 'Internal error; the log says more.')
    } else sendProblemReply(reply, status, error.message)
  })
  const known: { pattern: RegExp; methods: Set<string> }[] = []
  app.addHook('onRoute', (route) => {
    const pattern = new RegExp(`^${route.url.replace(/:[a-z]+/g, '[^/]+').replaceAll('.', '\\.')}$`)
    known.push({ pattern, methods: new Set([route.method].flat()) })
  })
  app.setNotFoundHandler((req, reply) => {
    const path = pathOf(req.raw.url ?? '')
    const methods = known.filter((k) => k.pattern.test(path)).flatMap((k) => [...k.methods])
    if (methods.length === 0) return sendProblemReply(reply, 404, 'There is nothing at this path.')
    void reply.header('allow', [...new Set(methods)].sort().join(', '))
    return sendProblemReply(reply, 405, `${req.method} is not served here.`)
  })
  guardConnections(app.server)
  void compose(app, options)

  return {
    async listen() {
      await app.ready()
      await app.listen({ host: options.listen.host, port: options.listen.port })
      app.server.on('error', (error) => options.onFault('the admin listener failed', error))
      const { address, port } = app.server.address() as AddressInfo
      return { host: address, port }
    },
    close: () => app.close(),
  }
}

function compose(app: FastifyInstance, options: AdminServerOptions): void {
  void app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'SIPhon admin API', version: options.version },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: jsonSchemaTransform,
  })
  void app.register((inner, _options, done) => {
    addRoutes(inner, {
      port: options.port,
      metrics: createMetricsEndpoint(options.scrape, options.onFault),
      tokenSet: options.token !== null,
      protectReads: options.protectReads,
    })
    done()
  })
}

function sendProblemReply(reply: FastifyReply, status: number, detail: string): void {
  // Past the serializers, which know the routes' bodies only.
  void reply
    .code(status)
    .header('content-type', PROBLEM_TYPE)
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problemBody(status, detail))
}
