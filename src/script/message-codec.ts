import { type Field, fieldOf, HeaderFields, spellingAt } from '../sip/message/header-fields.ts'
import { Request, Response, type Message } from '../sip/message/message.ts'
import type {
  CallInfo,
  ContactView,
  Decision,
  DialVerdict,
  Edit,
  ProgressVerdict,
  Verdict,
} from '../core/verdict.ts'
import type { Batch, BatchReader } from './conversation.ts'

/**
 * Messages and decisions as items of a batch.
 *
 * A message's fields travel as one string, a line each: no name has a colon in it, and no value the end of a line.
 * Joining and splitting costs less than serializing and parsing, or than cloning two dozen strings.
 */
const COLON = ':'
const END = '\r\n'

export function writeMessage(batch: Batch, message: Message): void {
  if (message.kind === 'request') batch.push(message.method, message.uri)
  else batch.push(message.status, message.reason)
  let head = ''
  for (const field of message.headers.fields) head += field.name + COLON + field.value + END
  batch.push(head, message.body)
}

/** A message still in pieces: most of the work is done by `build…`, when a handler is about to run. */
export interface RawRequest {
  readonly method: string
  readonly uri: string
  readonly head: string
  readonly body: string
}

export interface RawResponse {
  readonly status: number
  readonly reason: string
  readonly head: string
  readonly body: string
}

export function readRequest(reader: BatchReader): RawRequest {
  return { method: reader.string(), uri: reader.string(), head: reader.string(), body: reader.string() }
}

export function readResponse(reader: BatchReader): RawResponse {
  return { status: reader.number(), reason: reader.string(), head: reader.string(), body: reader.string() }
}

export function buildRequest(raw: RawRequest): Request {
  return new Request(raw.method, raw.uri, readFields(raw.head), raw.body)
}

export function buildResponse(raw: RawResponse): Response {
  return new Response(raw.status, raw.reason, readFields(raw.head), raw.body)
}

function readFields(head: string): HeaderFields {
  const fields: Field[] = []
  for (let at = 0; at < head.length;) {
    const nameEnd = head.indexOf(COLON, at)
    const valueEnd = head.indexOf(END, nameEnd)
    const spelling = spellingAt(head, at, nameEnd)
    if (spelling === null) throw new Error('a batch holds a header field without a name')
    fields.push(fieldOf(spelling.name, spelling.key, head.slice(nameEnd + 1, valueEnd)))
    at = valueEnd + END.length
  }
  return new HeaderFields(fields)
}

export function writeContacts(batch: Batch, contacts: readonly ContactView[]): void {
  batch.push(contacts.length)
  for (const c of contacts) {
    batch.push(c.uri, c.q, c.expires, c.received, c.userAgent, c.ageSecs, c.instance, c.regId ?? 0)
    batch.push(c.path.join('\n'), c.reference)
  }
}

/** @param count as read from the batch, 0 or more */
export function readContacts(reader: BatchReader, count: number): ContactView[] {
  const contacts: ContactView[] = []
  for (let i = 0; i < count; i++) {
    contacts.push({
      uri: reader.string(),
      q: reader.number(),
      expires: reader.number(),
      received: reader.string(),
      userAgent: reader.text(),
      ageSecs: reader.number(),
      instance: reader.text(),
      regId: reader.number() || null,
      path: lines(reader.string()),
      reference: reader.string(),
    })
  }
  return contacts
}

function lines(text: string): string[] {
  return text === '' ? [] : text.split('\n')
}

const PATHS = [null, 'if supported', 'force'] as const

export function writeCallInfo(batch: Batch, call: CallInfo | null): void {
  if (call === null) batch.push(null)
  else batch.push(call.id, call.state, call.side, call.referTo, call.replaces ? 1 : 0)
}

export function readCallInfo(reader: BatchReader): CallInfo | null {
  const id = reader.text()
  if (id === null) return null
  return {
    id,
    state: reader.string() as CallInfo['state'],
    side: reader.text() as CallInfo['side'],
    referTo: reader.text(),
    replaces: reader.number() === 1,
  }
}

const VERDICTS = [
  'relay',
  'fork',
  'reply',
  'save',
  'pass',
  'reject',
  'drop',
  'dial',
  'answer',
  'hangup',
  'transfer',
  'subscribe',
  'takeover',
] as const

export function writeDecision(batch: Batch, decision: Decision): void {
  const { verdict, edits } = decision
  if (verdict.do === 'proxy') throw new Error('a verdict that never leaves the worker')
  batch.push(VERDICTS.indexOf(verdict.do))
  switch (verdict.do) {
    case 'relay':
      batch.push(verdict.target, verdict.gateway ?? null)
      break
    case 'fork':
      batch.push(verdict.strategy, verdict.targets.length, ...verdict.targets)
      for (let i = 0; i < verdict.targets.length; i++) {
        batch.push(verdict.contacts?.[i] ?? null, verdict.gateways?.[i] ?? null)
      }
      break
    case 'reply':
      batch.push(verdict.code, verdict.reason, verdict.body, verdict.contentType, verdict.headers.length)
      for (const [name, value] of verdict.headers) batch.push(name, value)
      break
    case 'reject':
      batch.push(verdict.code, verdict.reason)
      break
    case 'dial':
      writeDial(batch, verdict)
      break
    case 'answer':
      batch.push(verdict.code, verdict.reason, verdict.body, verdict.contentType, verdict.headers.length)
      for (const [name, value] of verdict.headers) batch.push(name, value)
      writeProgress(batch, verdict.progress)
      break
    case 'transfer':
      batch.push(verdict.target, verdict.nextHop, verdict.contact ?? null)
      break
    case 'save':
      batch.push(verdict.force === true ? 1 : 0, verdict.nated === true ? 1 : 0)
      break
    case 'pass':
    case 'drop':
    case 'subscribe':
    case 'hangup':
    case 'takeover':
  }
  batch.push(PATHS.indexOf(decision.addPath ?? null))
  batch.push(decision.recordRoute ? 1 : 0, decision.cdr, decision.authUser, edits.length)
  for (const edit of edits) batch.push(edit[0], edit[1], edit[2] ?? null)
}

export function readDecision(reader: BatchReader): Decision {
  const verdict = readVerdict(reader)
  const addPath = PATHS[reader.number()] ?? null
  const recordRoute = reader.number() === 1
  const cdr = reader.text()
  const authUser = reader.text()
  const edits: Edit[] = []
  for (let left = reader.number(); left > 0; left--) edits.push(readEdit(reader))
  const made = { verdict, edits, recordRoute, cdr, authUser }
  return addPath === null ? made : { ...made, addPath }
}

function readVerdict(reader: BatchReader): Verdict {
  const name = VERDICTS[reader.number()]
  switch (name) {
    case 'relay': {
      const target = reader.text()
      const gateway = reader.text()
      return gateway === null ? { do: 'relay', target } : { do: 'relay', target, gateway }
    }
    case 'fork': {
      const strategy = reader.string() === 'sequential' ? 'sequential' : 'parallel'
      const count = reader.number()
      const targets: string[] = []
      for (let i = 0; i < count; i++) targets.push(reader.string())
      const contacts: (string | null)[] = []
      const gateways: (string | null)[] = []
      for (let i = 0; i < count; i++) {
        contacts.push(reader.text())
        gateways.push(reader.text())
      }
      const registered = contacts.some((contact) => contact !== null)
      if (gateways.some((gateway) => gateway !== null)) {
        return { do: 'fork', targets, ...(registered && { contacts }), gateways, strategy }
      }
      return registered ? { do: 'fork', targets, contacts, strategy } : { do: 'fork', targets, strategy }
    }
    case 'reply': {
      const code = reader.number()
      const reason = reader.text()
      const body = reader.text()
      const contentType = reader.text()
      const headers: [string, string][] = []
      for (let left = reader.number(); left > 0; left--) headers.push([reader.string(), reader.string()])
      return { do: 'reply', code, reason, headers, body, contentType }
    }
    case 'reject':
      return { do: 'reject', code: reader.number(), reason: reader.text() }
    case 'save': {
      const force = reader.number() === 1
      const nated = reader.number() === 1
      return { do: 'save', ...(force ? { force } : {}), ...(nated ? { nated } : {}) }
    }
    case 'pass':
      return { do: 'pass' }
    case 'drop':
      return { do: 'drop' }
    case 'subscribe':
      return { do: 'subscribe' }
    case 'dial':
      return readDial(reader)
    case 'answer': {
      const code = reader.number()
      const reason = reader.text()
      const body = reader.text()
      const contentType = reader.text()
      const headers: [string, string][] = []
      for (let left = reader.number(); left > 0; left--) headers.push([reader.string(), reader.string()])
      return { do: 'answer', code, reason, headers, body, contentType, progress: readProgress(reader) }
    }
    case 'hangup':
    case 'takeover':
      return { do: name }
    case 'transfer': {
      const [target, nextHop, contact] = [reader.text(), reader.text(), reader.text()]
      return { do: 'transfer', target, nextHop, ...(contact === null ? {} : { contact }) }
    }
    case undefined:
  }
  throw new Error('a batch holds an unknown verdict')
}

function writeDial(batch: Batch, verdict: DialVerdict): void {
  const { targets, strategy, timeoutMs, rerouteOn, policy, timer, progress } = verdict
  batch.push(targets.length)
  for (const { uri, nextHop, contact, gateway } of targets) {
    batch.push(uri, nextHop, contact ?? null, gateway ?? null)
  }
  batch.push(
    strategy,
    timeoutMs ?? -1,
    rerouteOn === null ? -1 : rerouteOn.length,
    ...(rerouteOn ?? []),
    policy,
  )
  if (timer === null) batch.push(0)
  else batch.push(1, timer.expires ?? -1, timer.minSe, timer.refresher)
  const { user = null, password = null, realm = null } = verdict.credentials ?? {}
  batch.push(user, password, realm)
  writeProgress(batch, progress)
}

function readDial(reader: BatchReader): DialVerdict {
  const targets: DialVerdict['targets'][number][] = []
  for (let left = reader.number(); left > 0; left--) {
    const [uri, nextHop, contact, gateway] = [reader.string(), reader.text(), reader.text(), reader.text()]
    targets.push({
      uri,
      nextHop,
      ...(contact === null ? {} : { contact }),
      ...(gateway === null ? {} : { gateway }),
    })
  }
  const strategy = reader.string() === 'sequential' ? 'sequential' : 'parallel'
  const timeout = reader.number()
  const causes = reader.number()
  const rerouteOn: number[] = []
  for (let left = causes; left > 0; left--) rerouteOn.push(reader.number())
  const policy = reader.string() === 'strict' ? 'strict' : 'transparent'
  const timer = reader.number() === 1 ? readTimer(reader) : null
  const [user, password, realm] = [reader.text(), reader.text(), reader.text()]
  return {
    do: 'dial',
    targets,
    strategy,
    timeoutMs: timeout < 0 ? null : timeout,
    rerouteOn: causes < 0 ? null : rerouteOn,
    policy,
    timer,
    credentials: user === null || password === null ? null : { user, password, realm },
    progress: readProgress(reader),
  }
}

function readTimer(reader: BatchReader): NonNullable<DialVerdict['timer']> {
  const expires = reader.number()
  const minSe = reader.number()
  return {
    expires: expires < 0 ? null : expires,
    minSe,
    refresher: reader.string() === 'uas' ? 'uas' : 'uac',
  }
}

function writeProgress(batch: Batch, progress: readonly ProgressVerdict[]): void {
  batch.push(progress.length)
  for (const { code, reason, body, contentType } of progress) batch.push(code, reason, body, contentType)
}

function readProgress(reader: BatchReader): ProgressVerdict[] {
  const progress: ProgressVerdict[] = []
  for (let left = reader.number(); left > 0; left--) {
    progress.push({
      code: reader.number(),
      reason: reader.text(),
      body: reader.text(),
      contentType: reader.text(),
    })
  }
  return progress
}

function readEdit(reader: BatchReader): Edit {
  const what = reader.string()
  const first = reader.string()
  const second = reader.text()
  switch (what) {
    case 'set':
      return ['set', first, second ?? '']
    case 'add':
      return ['add', first, second ?? '']
    case 'prepend':
      return ['prepend', first, second ?? '']
    case 'remove':
      return ['remove', first]
    case 'ruri':
      return ['ruri', first]
    case 'body':
      return ['body', first, second]
    default:
      throw new Error(`a batch holds an unknown edit: ${what}`)
  }
}
