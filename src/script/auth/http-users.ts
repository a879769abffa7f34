import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { hashDigits, HASH_NAMES, type HashName } from '../../sip/auth/algorithm.ts'
import type { Secret } from '../../sip/auth/digest.ts'
import { decodeText, encodeText } from '../api/text.ts'
import type { HttpUsersSettings } from './settings.ts'
import { type Users, UsersUnavailable } from './users.ts'

/** A password is short. Whatever is longer is not one. */
const MAX_BODY_BYTES = 4096
/** Connections of one worker. Further questions wait for one of them, within their time limit. */
const MAX_SOCKETS = 32
/** Longer names are nobody's; they would make long URLs. */
const MAX_NAME = 255

export type Outcome = 'found' | 'unknown' | 'timeout' | 'error'

/**
 * Users that an HTTP service knows: one GET a question. 200 is the secret, 404 no such user, everything else (redirects
 * included: the credentials in our request are for one host) means that the service cannot tell.
 */
export class HttpUsers implements Users {
  readonly #settings: HttpUsersSettings
  readonly #told: (outcome: Outcome, why: string | null) => void
  readonly #agent: HttpAgent | HttpsAgent
  readonly #secure: boolean

  /** @param told of each question: what came of it, and what went wrong */
  constructor(settings: HttpUsersSettings, told: (outcome: Outcome, why: string | null) => void) {
    this.#settings = settings
    this.#told = told
    this.#secure = settings.url.startsWith('https:')
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_SOCKETS }
    this.#agent = this.#secure ? new HttpsAgent(options) : new HttpAgent(options)
  }

  async find(user: string, realm: string): Promise<Secret | null> {
    const name = decodeText(user)
    // A name that would be another path: dots stay dots however they are escaped.
    if (name === '' || name === '.' || name === '..' || name.length > MAX_NAME) {
      this.#told('unknown', null)
      return null
    }
    try {
      const secret = await this.#ask(name, decodeText(realm))
      this.#told(secret === null ? 'unknown' : 'found', null)
      return secret
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#told(error instanceof TimeLimit ? 'timeout' : 'error', why)
      throw new UsersUnavailable(why, { cause: error })
    }
  }

  /** Lets idle connections go. */
  close(): void {
    this.#agent.destroy()
  }

  #ask(user: string, realm: string): Promise<Secret | null> {
    const { timeoutMs, connectTimeoutMs, authHeader } = this.#settings
    const { protocol, hostname, port, path } = this.#target(user, realm)
    const { promise, resolve, reject } = Promise.withResolvers<Secret | null>()
    const headers = {
      Accept: 'text/plain, application/json',
      ...(authHeader === null ? {} : { Authorization: authHeader }),
    }
    const send = this.#secure ? httpsRequest : httpRequest
    const request = send({ protocol, hostname, port, path, headers, agent: this.#agent })
    const give = (error: Error): void => {
      reject(error)
      request.destroy()
    }
    const limit = setTimeout(() => give(new TimeLimit(`no answer within ${timeoutMs} ms`)), timeoutMs)
    request.on('socket', (socket) => {
      if (!socket.connecting) return
      const connecting = setTimeout(
        () => give(new TimeLimit(`no connection within ${connectTimeoutMs} ms`)),
        connectTimeoutMs,
      )
      const done = (): void => clearTimeout(connecting)
      socket.once(this.#secure ? 'secureConnect' : 'connect', done).once('close', done)
    })
    request.on('error', give)
    request.on('response', (response) => {
      void this.#read(response).then(resolve, give)
    })
    request.end()
    return promise.finally(() => clearTimeout(limit))
  }

  /** The path is put together as text: a URL would take `..` for a way up. */
  #target(user: string, realm: string) {
    const { protocol, hostname, port } = new URL(this.#settings.url.replaceAll(/[{}]/g, ''))
    const start = this.#settings.url.indexOf('/', this.#settings.url.indexOf('//') + 2)
    const template = start < 0 ? '/' : this.#settings.url.slice(start)
    const values: Readonly<Record<string, string>> = { username: user, realm }
    const path = template.replace(/\{(username|realm)\}/g, (_, key: string) =>
      encodeURIComponent(values[key] ?? ''),
    )
    return { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? null : port, path }
  }

  async #read(response: IncomingMessage): Promise<Secret | null> {
    const { statusCode = 0 } = response
    let body = ''
    response.setEncoding('utf8')
    for await (const chunk of response) {
      body += chunk as string
      if (body.length > MAX_BODY_BYTES) throw new Error(`the answer is longer than ${MAX_BODY_BYTES} bytes`)
    }
    if (statusCode === 404) return null
    if (statusCode !== 200) throw new Error(`status ${statusCode}`)
    const json = /^application\/json\b/i.test(response.headers['content-type'] ?? '')
    return json ? secretOf(parsed(body)) : textSecret(body.trim(), this.#settings.ha1)
  }
}

class TimeLimit extends Error {}

function textSecret(text: string, ha1: boolean): Secret {
  if (text === '') throw new Error('the answer is empty')
  if (!ha1) return { password: encodeText(text) }
  // Two algorithms have 64 digits; who has the newer one answers with JSON.
  const name = text.length === hashDigits('MD5') ? 'MD5' : 'SHA-256'
  return { ha1: { [name]: checkedHa1(name, text) } }
}

/** `{"password": "…"}` or `{"ha1": {"MD5": "…", "SHA-256": "…"}}`. */
function secretOf(value: unknown): Secret {
  const password = own(value, 'password')
  if (typeof password === 'string' && password !== '') return { password: encodeText(password) }
  const given = own(value, 'ha1')
  const ha1: Partial<Record<HashName, string>> = {}
  for (const name of HASH_NAMES) {
    const text = own(given, name)
    if (text !== undefined) ha1[name] = checkedHa1(name, text)
  }
  if (Object.keys(ha1).length === 0) throw new Error('the answer has neither a password nor an ha1')
  return { ha1 }
}

function checkedHa1(name: HashName, text: unknown): string {
  if (typeof text !== 'string' || !/^[0-9a-f]+$/i.test(text) || text.length !== hashDigits(name)) {
    throw new Error(`the answer's ha1 is not ${hashDigits(name)} hexadecimal digits`)
  }
  return text.toLowerCase()
}

function own(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('the answer is not JSON')
  }
}
