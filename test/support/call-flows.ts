import { expect, keepCaller, pause, recv, respond, send, sendBack, sendOnBranch } from './sipp-scenario.ts'

export interface CallFlow {
  readonly name: string
  readonly caller: readonly string[]
  readonly callee: readonly string[]
  readonly record: Readonly<Record<string, unknown>>
}

export const ANSWERED = [
  recv(100, { optional: true }),
  recv(180, { optional: true }),
  recv(200, { attributes: 'rrs="true"' }),
]

/** Every flow and its far end: what the caller does, what the callee does, and how the record of it ends. */
export const flows: readonly CallFlow[] = [
  {
    name: '3.2 session through a proxy, ended by the callee',
    caller: [
      send('INVITE', 1, { sdp: true }),
      ...ANSWERED,
      send('ACK', 1, { inDialog: true }),
      recv('BYE'),
      respond('200 OK', { tag: false }),
    ],
    callee: [
      recv('INVITE', { attributes: 'rrs="true"', action: keepCaller }),
      respond('180 Ringing'),
      pause(50),
      respond('200 OK', { sdp: true, repeat: true }),
      recv('ACK'),
      pause(50),
      sendBack('BYE', 1),
      recv(200),
    ],
    record: { response_code: 200, disconnect_initiator: 'callee' },
  },
  {
    name: '3.6 redirected, and the offer comes in the 200: the answer travels in the ACK',
    caller: [
      send('INVITE', 1, {
        uri: 'sip:moved@[remote_ip]:[remote_port]',
        headers: ['X-Now-At: <sip:[service]@[remote_ip]:[remote_port]>'],
      }),
      recv(100, { optional: true }),
      recv(302, { action: expect('Contact: *.sip:') }),
      sendOnBranch('ACK', 1, 'sip:moved@[remote_ip]:[remote_port]'),
      send('INVITE', 2),
      recv(100, { optional: true }),
      recv(180, { optional: true }),
      recv(200, { attributes: 'rrs="true"', action: expect('m=audio') }),
      send('ACK', 2, { inDialog: true, sdp: true }),
      pause(50),
      send('BYE', 3, { inDialog: true }),
      recv(200),
    ],
    callee: [
      recv('INVITE', { attributes: 'rrs="true"' }),
      respond('180 Ringing'),
      respond('200 OK', { sdp: true, repeat: true }),
      recv('ACK', { action: expect('m=audio') }),
      recv('BYE'),
      respond('200 OK', { tag: false }),
    ],
    record: { response_code: 200, disconnect_initiator: 'caller' },
  },
  {
    name: '3.7 a re-INVITE moves the media',
    caller: [
      send('INVITE', 1, { sdp: true }),
      ...ANSWERED,
      send('ACK', 1, { inDialog: true }),
      recv('INVITE', { action: expect('m=audio') }),
      respond('200 OK', { sdp: true, repeat: true, tag: false }),
      recv('ACK'),
      recv('BYE'),
      respond('200 OK', { tag: false }),
    ],
    callee: [
      recv('INVITE', { attributes: 'rrs="true"', action: keepCaller }),
      respond('180 Ringing'),
      respond('200 OK', { sdp: true, repeat: true }),
      recv('ACK'),
      pause(50),
      sendBack('INVITE', 14, { sdp: true }),
      recv(100, { optional: true }),
      recv(200, { attributes: 'rrs="true"', action: expect('m=audio') }),
      sendBack('ACK', 14),
      pause(50),
      sendBack('BYE', 15),
      recv(200),
    ],
    record: { response_code: 200, disconnect_initiator: 'callee' },
  },
  {
    name: '3.8 no answer: the caller gives up',
    caller: [
      send('INVITE', 1, { sdp: true }),
      recv(100, { optional: true }),
      recv(180),
      pause(100),
      sendOnBranch('CANCEL', 1),
      recv(200),
      recv(487),
      sendOnBranch('ACK', 1),
    ],
    callee: [
      recv('INVITE'),
      respond('180 Ringing'),
      recv('CANCEL'),
      respond('200 OK', { tag: false }),
      `  <send retrans="500"><![CDATA[
SIP/2.0 487 Request Terminated
[last_Via:]
[last_From:]
[last_To:];tag=[pid]SIPpTag01[call_number]
[last_Call-ID:]
CSeq: 1 INVITE
Content-Length: 0

]]></send>`,
      recv('ACK'),
    ],
    record: { response_code: 487, disconnect_initiator: 'caller', timestamp_answer: null },
  },
  ...(
    [
      ['3.9 busy', '486 Busy Here'],
      ['3.11 temporarily unavailable', '480 Temporarily Unavailable'],
    ] as const
  ).map(([name, status]) => ({
    name,
    caller: [
      send('INVITE', 1, { sdp: true }),
      recv(100, { optional: true }),
      recv(180, { optional: true }),
      recv(Number(status.slice(0, 3))),
      sendOnBranch('ACK', 1),
    ],
    callee: [recv('INVITE'), respond('180 Ringing'), respond(status, { repeat: true }), recv('ACK')],
    record: {
      response_code: Number(status.slice(0, 3)),
      disconnect_initiator: 'callee',
      timestamp_answer: null,
    },
  })),
]
