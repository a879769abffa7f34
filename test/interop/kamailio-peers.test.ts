import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startKamailio } from '../support/kamailio.ts'
import { missing, until } from '../support/programs.ts'
import { freePort, startSiphon } from '../support/siphon.ts'
import { runCaller, startCallee } from '../support/sipp.ts'

/** Every call goes to one next hop; we stay on its path. */
const script = (nextHop: string): string => `import { proxy } from 'siphon'

proxy.onRequest((request) => {
  if (request.inDialog) return request.looseRoute() ? request.relay() : request.reply(404)
  if (request.method === 'INVITE') request.recordRoute()
  return request.relay('${nextHop}')
})
`

const CALLS = 50

describe('a chain of two proxies, one of them Kamailio', { skip: missing('sipp', 'kamailio') }, () => {
  for (const transport of ['udp', 'tcp'] as const) {
    for (const order of ['downstream', 'upstream'] as const) {
      it(`Kamailio ${order}, ${transport} between them: every call ends as it should, with its record`, async () => {
        const [kamailioPort, calleePort] = [await freePort(), await freePort()]
        const callee = `sip:127.0.0.1:${calleePort}`
        const next = order === 'downstream' ? `sip:127.0.0.1:${kamailioPort};transport=${transport}` : callee
        const siphon = await startSiphon({ script: script(next) })
        const onward = order === 'downstream' ? callee : `sip:127.0.0.1:${siphon.sip};transport=${transport}`
        const kamailio = await startKamailio('relay.cfg', {
          port: kamailioPort,
          defines: { NEXT_HOP: `"${onward}"` },
        })
        const phone = startCallee(calleePort)
        try {
          const entry = order === 'downstream' ? siphon.target : `127.0.0.1:${kamailioPort}`
          const result = await runCaller({
            target: entry,
            localPort: await freePort(),
            rate: 50,
            calls: CALLS,
          })
          assert.deepEqual([result.successful, result.failed], [CALLS, 0], result.output + kamailio.output())
          await until('each to have its record', () => siphon.records().length === CALLS)
          for (const record of siphon.records()) {
            assert.equal(record['response_code'], 200)
            assert.equal(record['disconnect_initiator'], 'caller')
            assert.equal(record['transport'], order === 'upstream' ? transport : 'udp')
          }
          await until('calls to be forgotten', async () => (await siphon.metric('siphon_calls_active')) === 0)
          assert.equal(await siphon.metric('siphon_proxy_dialog_sessions'), 0)
        } finally {
          await Promise.all([phone.stop('SIGKILL'), kamailio.stop(), siphon.stop('SIGKILL')])
        }
      })
    }
  }
})
