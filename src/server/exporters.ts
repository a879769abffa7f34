import { ByteRingReader } from '../base/byte-ring.ts'
import type { Clock } from '../base/clock.ts'
import type { CdrBackend, Config } from '../config/config.ts'
import { CdrPipeline, type SinkOptions } from '../observe/cdr/pipeline.ts'
import { HepExporter } from '../observe/hep/exporter.ts'
import type { Log } from '../base/rare-log.ts'

/** 16 MiB: about a second and a half of tracing at a thousand calls a second, for a control thread that is held up. */
export const TRACE_RING_BYTES = 16 << 20

/** The record sinks of the configuration; null when records are off. */
export function createCdrPipeline(config: Config, clock: Clock, log: Log): CdrPipeline | null {
  const { cdr, server } = config
  if (!cdr.enabled) return null
  return new CdrPipeline({
    sinks: cdr.backends.flatMap((backend) => sinkOptions(config, backend)),
    node: server.instance_id,
    channelSize: cdr.channel_size,
    spoolDir: cdr.spool_path,
    deadLetterPath: cdr.http?.dead_letter_path ?? null,
    clock,
    log,
  })
}

function sinkOptions({ cdr }: Config, backend: CdrBackend): SinkOptions[] {
  switch (backend) {
    case 'file':
      return [{ kind: 'file', path: cdr.file.path, rotateSizeMb: cdr.file.rotate_size_mb }]
    case 'http':
      if (!cdr.http) return []
      return [
        {
          kind: 'http',
          url: cdr.http.url,
          authHeader: cdr.http.auth_header,
          timeoutMs: cdr.http.timeout_secs * 1000,
          ...(cdr.http.ca === null ? {} : { caFile: cdr.http.ca }),
        },
      ]
    case 'syslog': {
      if (!cdr.syslog) return []
      const { target, transport, ca } = cdr.syslog
      const tls = ca === null ? {} : { tls: { caFile: ca } }
      return [{ kind: 'syslog', host: target.host, port: target.port, transport, ...tls }]
    }
  }
}

/** The trace sender of the configuration, reading from the engine's ring; null when nothing is traced. */
export function createHepExporter(
  config: Config,
  ring: SharedArrayBuffer | null,
  clock: Clock,
  log: Log,
): HepExporter | null {
  const { hep } = config.tracing
  if (!hep || !ring) return null
  const tls = {
    ...(hep.ca_cert === null ? {} : { caFile: hep.ca_cert }),
    ...(hep.tls_server_name === null ? {} : { serverName: hep.tls_server_name }),
  }
  return new HepExporter({
    rings: [new ByteRingReader(ring)],
    clock,
    log,
    identity: { captureId: hep.capture_id, nodeName: hep.agent_id, authKey: hep.auth_key },
    host: hep.endpoint.host,
    port: hep.endpoint.port,
    transport: hep.transport,
    ...(hep.transport === 'tls' ? { tls } : {}),
  })
}
