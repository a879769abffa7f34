import type { Path } from '../../src/base/address.ts'
import type { Message } from '../../src/sip/message/message.ts'
import type { MessageCrossed } from '../../src/spine/facts.ts'

export const somePath: Path = {
  protocol: 'udp',
  local: { host: '127.0.0.1', port: 5060 },
  remote: { host: '127.0.0.1', port: 5062 },
}

export function inviteText(callId: string, body = ''): string {
  return [
    'INVITE sip:bob@example.com SIP/2.0',
    'Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKabc',
    'Max-Forwards: 70',
    'From: <sip:alice@example.com>;tag=1',
    'To: <sip:bob@example.com>',
    `Call-ID: ${callId}`,
    'CSeq: 1 INVITE',
    'Contact: <sip:alice@127.0.0.1:5062>',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n')
}

/** A fact about an INVITE, with as much of a message as a tracer looks at. */
export function crossed(
  callId: string,
  text = inviteText(callId),
  path = somePath,
  at = Date.now(),
): MessageCrossed {
  const message = { kind: 'request', callId } as unknown as Message
  return { path, bytes: Buffer.from(text, 'latin1'), message, at }
}
