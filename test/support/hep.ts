import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { ByteRingReader, ByteRingWriter, createByteRing } from '../../src/base/byte-ring.ts'
import { hepIdentity } from '../../src/observe/hep/encode.ts'
import { HepExporter } from '../../src/observe/hep/exporter.ts'
import { HepTap } from '../../src/observe/hep/tap.ts'
import { createSpine } from '../../src/spine/spine.ts'

/** A spine whose messages are traced to a collector on loopback. */
export function tracedSpine(t: TestContext, port: number, transport: 'udp' | 'tcp') {
  const shared = createByteRing(1 << 20)
  const spine = createSpine((_, error) => {
    throw error
  })
  const tap = new HepTap({ spine, ring: new ByteRingWriter(shared) })
  const exporter = new HepExporter({
    rings: [new ByteRingReader(shared)],
    clock: systemClock,
    log: () => undefined,
    identity: hepIdentity('siphon-sbc', 2001, 'secret'),
    host: '127.0.0.1',
    port,
    transport,
    minBackoffMs: 20,
    maxBackoffMs: 50,
  })
  exporter.start()
  t.after(() => {
    tap.close()
    exporter.close()
  })
  return { spine, exporter }
}
