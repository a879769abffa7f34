import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { udpExchange } from '../../src/net/dns/exchange.ts'
import { decodeReply, encodeQuery } from '../../src/net/dns/message.ts'
import { type Running, start, until } from './programs.ts'

/** A real name server (nsd) for one zone, on a loopback port of its own. Resolves when it answers. */
export async function startNsd(port: number, zone: string, records: string): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'nsd-'))
  writeFileSync(
    join(folder, 'zone'),
    `$ORIGIN ${zone}.\n$TTL 300\n@ IN SOA ns.${zone}. root.${zone}. 1 3600 600 86400 60\n@ IN NS ns.${zone}.\nns IN A 127.0.0.1\n${records}\n`,
  )
  writeFileSync(
    join(folder, 'nsd.conf'),
    `server:
  ip-address: 127.0.0.1
  port: ${port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  database: ""
  pidfile: "${folder}/nsd.pid"
  xfrdfile: "${folder}/xfrd.state"
  zonelistfile: "${folder}/zone.list"
  xfrdir: "${folder}"
remote-control:
  control-enable: no
zone:
  name: "${zone}"
  zonefile: "zone"
`,
  )
  const nsd = start('/usr/sbin/nsd', ['-d', '-c', join(folder, 'nsd.conf')])
  await until('nsd to answer', () => answers(port, `ns.${zone}`)).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${nsd.output()}`)
  })
  return nsd
}

function answers(port: number, name: string): Promise<boolean> {
  const question = { name, type: 'A' } as const
  const query = encodeQuery(1, question, false) ?? Buffer.alloc(0)
  return new Promise((done) =>
    udpExchange(systemClock)(
      { host: '127.0.0.1', port },
      query,
      200,
      (bytes) => decodeReply(bytes, 1, question),
      (reply) => done((reply?.records.length ?? 0) > 0),
    ),
  )
}
