import type { z } from 'zod'
import { auth } from './blocks/auth.ts'
import { security } from './blocks/security.ts'
import { block, list, optionalBlock } from './block.ts'
import { cache } from './blocks/cache.ts'
import { gateway } from './blocks/gateway.ts'
import { media } from './blocks/media.ts'
import { nat } from './blocks/nat.ts'
import { registrar } from './blocks/registrar.ts'
import { dnsBlock } from './blocks/dns.ts'
import {
  advertised,
  amount,
  choice,
  flag,
  hostPort,
  ipPort,
  nullable,
  optional,
  path,
  printable,
  required,
  seconds,
} from './scalars.ts'
import { listenBlock } from './blocks/listen.ts'
import { tlsBlock } from './blocks/tls.ts'
import { bearerToken, httpUrl, localDomain, urlPath } from './texts.ts'

/** Every key of siphon.yaml, its range, its default and what it means. The JSON Schema and the reference page come from here. */
export const blocks = {
  listen: listenBlock(),
  tls: tlsBlock(),
  advertised_address: nullable(
    advertised(),
    'What peers are told instead of the address of any listener without its own `advertise`.',
  ),
  domain: block('The domains this server is responsible for.', {
    local: optional(
      list(localDomain()),
      [],
      'Domain names and IP addresses that are ours besides those we listen on.',
    ),
  }),
  script: block('The routing script.', {
    path: required(path('script.ts'), 'The TypeScript file.'),
    reload: optional(
      choice(['auto', 'sighup']),
      'auto',
      '`auto`: load the script again on save and on SIGHUP; `sighup`: on SIGHUP only.',
    ),
    sync_pool_size: nullable(
      amount(1, 256),
      'Worker threads at start. Default: one for each CPU, from 2 to 8, at most `sync_pool_max`.',
    ),
    sync_pool_max: nullable(
      amount(1, 256),
      'Most worker threads; at least `sync_pool_size`. Default: four times `sync_pool_size`, at least 8.',
    ),
    executor_queue_capacity: optional(
      amount(1, 1_000_000),
      1024,
      'Jobs that may wait for a worker; further new calls are shed.',
    ),
    handler_timeout_secs: optional(
      seconds(0.01, 3600),
      10,
      'Longest run of one handler; past it the call gets a 500 and the worker is replaced.',
    ),
    handlers_per_worker: optional(
      amount(1, 10_000),
      16,
      'Handlers one worker runs side by side while they wait for something.',
    ),
    memory_limit_mb: optional(
      amount(16, 65_536),
      256,
      'Heap of one worker, MiB; past it the worker is replaced.',
    ),
  }),
  registrar,
  auth,
  nat,
  transaction: block('Transactions.', {
    timer_c_secs: optional(
      seconds(1, 3600),
      181,
      'Timer C: longest time a forwarded INVITE may stay without a new provisional response. RFC 3261 wants more than three minutes: 180 s and less are shorter than it allows.',
    ),
  }),
  gateway,
  cache,
  security,
  dns: dnsBlock,
  metrics: block('Prometheus metrics.', {
    prometheus: optionalBlock('A listener for scrapes. Absent: none (the admin port serves /metrics too).', {
      listen: required(ipPort('127.0.0.1:9464'), 'IP address and port.'),
      path: optional(urlPath(), '/metrics', 'Path of the metrics.'),
    }),
    max_series: optional(
      amount(1, 1_000_000),
      1000,
      'Label sets of one metric of the script; further ones are counted in the series `__other__`.',
    ),
  }),
  admin: optionalBlock('The admin API. Absent: off.', {
    listen: required(ipPort('127.0.0.1:9465'), 'IP address and port.'),
    auth: block('Who may use it.', {
      token: nullable(
        bearerToken(),
        'Every request but a read needs `Authorization: Bearer` with it. Empty: none.',
      ),
      protect_reads: optional(flag(), false, 'Reads need the token too; health and ready never do.'),
    }),
    insecure: optional(flag(), false, 'Allow listening beyond loopback without a token.'),
  }),
  cdr: block('Call Detail Records.', {
    enabled: optional(flag(), false, 'Write records.'),
    auto_emit: optional(flag(), true, 'A record for every call; otherwise for those the script asks for.'),
    include_register: optional(flag(), false, 'Also a record for every change of a registration.'),
    include_challenges: optional(
      flag(),
      false,
      'Also a record for an attempt that ended in 401 or 407 and nothing else.',
    ),
    backend: nullable(choice(['file', 'http', 'syslog']), 'Where records go. Default: `file`.'),
    backends: nullable(list(choice(['file', 'http', 'syslog'])), 'Several of them, instead of `backend`.'),
    channel_size: optional(amount(1, 10_000_000), 10_000, 'Records that may wait for one backend in memory.'),
    spool_path: optional(
      path('spool'),
      'spool',
      'Folder for records that a collector has not taken when the server ends; the next start delivers them.',
    ),
    file: block('Backend `file`: one JSON object a line.', {
      path: optional(path('cdr.jsonl'), 'cdr.jsonl', 'The file.'),
      rotate_size_mb: optional(
        amount(0, 1_000_000, false),
        100,
        'Start a new file at this size, MiB; 0: never.',
      ),
    }),
    http: optionalBlock('Backend `http`: one POST a record.', {
      url: required(httpUrl(), 'Where to; http or https.'),
      auth_header: nullable(
        printable('the value of the Authorization field, like "Bearer …"'),
        'The whole value of the Authorization field.',
      ),
      timeout_secs: optional(
        seconds(0.1, 600),
        10,
        'Longest wait for an answer before the record is sent again.',
      ),
      ca: nullable(path('ca.pem'), 'PEM file of the authorities to trust (https). Absent: the public ones.'),
      dead_letter_path: optional(
        path('cdr-dead.jsonl'),
        'cdr-dead.jsonl',
        'File for records that the collector refused for good.',
      ),
    }),
    syslog: optionalBlock('Backend `syslog` (RFC 5424).', {
      target: required(hostPort('127.0.0.1:514'), 'Host and port.'),
      transport: optional(
        choice(['udp', 'tcp', 'tls']),
        'udp',
        'tcp and tls with octet counting (RFC 6587, RFC 5425).',
      ),
      ca: nullable(path('ca.pem'), 'PEM file of the authorities to trust (tls). Absent: the public ones.'),
    }),
  }),
  tracing: block('SIP tracing.', {
    hep: optionalBlock('A copy of every SIP message to Homer (HEP). Absent: off.', {
      endpoint: required(hostPort('127.0.0.1:9060'), 'Host and port of the collector.'),
      version: optional(amount(3, 3), 3, 'Only version 3 exists.'),
      transport: optional(choice(['udp', 'tcp', 'tls']), 'udp', 'How packets travel.'),
      agent_id: nullable(
        printable('a node name'),
        'Node name in the packets. Default: `server.instance_id`.',
      ),
      capture_id: nullable(
        amount(0, 4_294_967_295),
        'Number of this node in the packets. Default: `agent_id` when it is a number, else a hash of it.',
      ),
      auth_key: nullable(printable('the key of the collector'), 'Key that the collector asks for.'),
      ca_cert: nullable(
        path('ca.pem'),
        'PEM file of the authorities to trust (tls). Absent: the public ones.',
      ),
      tls_server_name: nullable(
        printable('a host name'),
        'Name in the certificate (tls). Default: the host of `endpoint`.',
      ),
    }),
  }),
  media,
  server: block('The node.', {
    instance_id: nullable(
      printable('a name for this node'),
      'Name of this node in records and traces. Default: `$HOSTNAME`, else the name of the machine.',
    ),
    drain_secs: optional(
      seconds(0, 86_400),
      30,
      'Longest drain after SIGTERM; calls that live on then are cut off.',
    ),
    lame_duck_secs: optional(
      seconds(0, 3600),
      0,
      'From SIGTERM until new calls are refused, so that load balancers notice first.',
    ),
  }),
  log: block('The log, on standard output.', {
    level: optional(choice(['debug', 'info', 'warn', 'error']), 'info', 'Least severe lines written.'),
    format: optional(choice(['pretty', 'json']), 'pretty', '`pretty` for people, `json` for collectors.'),
  }),
}

export type Blocks = { readonly [K in keyof typeof blocks]: z.output<(typeof blocks)[K]> }
