import type { Path } from '../../src/base/address.ts'
import { HeaderFields } from '../../src/sip/message/header-fields.ts'
import { type Message, Request } from '../../src/sip/message/message.ts'
import type { Flow } from '../../src/stack/transport.ts'

export interface RegisterOptions {
  readonly aor?: string
  readonly uri?: string
  readonly contacts?: readonly string[]
  readonly expires?: number | string
  readonly callId?: string
  readonly cseq?: number
  readonly headers?: readonly (readonly [string, string])[]
}

/** A REGISTER as it comes from the parser: by default alice's, from call "one", CSeq 1, without Contact. */
export function registerRequest(options: RegisterOptions = {}): Request {
  const { aor = 'sip:alice@example.com', uri = 'sip:example.com', contacts = [] } = options
  const headers = new HeaderFields()
  headers.append('Via', 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1')
  headers.append('From', `<${aor}>;tag=f`)
  headers.append('To', `<${aor}>`)
  headers.append('Call-ID', options.callId ?? 'one')
  headers.append('CSeq', `${options.cseq ?? 1} REGISTER`)
  for (const contact of contacts) headers.append('Contact', contact)
  if (options.expires !== undefined) headers.append('Expires', String(options.expires))
  for (const [name, value] of options.headers ?? []) headers.append(name, value)
  return new Request('REGISTER', uri, headers)
}

let lastFlowId = 0

/** A flow that keeps what is sent on it. */
export class RecordingFlow implements Flow {
  readonly id = ++lastFlowId
  readonly sent: Message[] = []
  readonly path: Path
  closed = false

  constructor(protocol: Path['protocol'] = 'udp', host = '192.0.2.1', port = 5060) {
    this.path = { protocol, local: { host: '192.0.2.254', port: 5060 }, remote: { host, port } }
  }

  get reliable(): boolean {
    return this.path.protocol !== 'udp'
  }

  send(message: Message): boolean {
    if (this.closed) return false
    this.sent.push(message)
    return true
  }
}
