import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { kernelDrops } from '../../../src/observe/metrics/udp-drops.ts'

const head =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n'
const udp = `${head}  100: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 17
  101: 0200007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 2 2 0 1000
  102: 0100007F:13C5 0100007F:13C4 01 00000000:00000000 00:00000000 00000000     0        0 3 2 0 100
`
const udp6 = `${head}  7: 00000000000000000000000001000000:13C4 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4 2 0 5
`
const read = (name: 'udp' | 'udp6'): string => (name === 'udp' ? udp : udp6)

describe('datagrams the kernel dropped', () => {
  it('are those of our own sockets', () => {
    assert.equal(kernelDrops([{ host: '127.0.0.1', port: 5060 }], read), 17)
    assert.equal(
      kernelDrops(
        [
          { host: '127.0.0.1', port: 5060 },
          { host: '::1', port: 5060 },
        ],
        read,
      ),
      22,
    )
    assert.equal(kernelDrops([{ host: '127.0.0.1', port: 5080 }], read), 0)
  })
  it('are unknown where the kernel does not tell', () => {
    assert.equal(
      kernelDrops([{ host: '127.0.0.1', port: 5060 }], () => null),
      null,
    )
  })
})
