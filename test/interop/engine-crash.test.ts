import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { register } from '../../bench/subjects.ts'
import { root, until } from '../support/programs.ts'
import { RawPhone, requestText, responseText, startSiphon } from '../support/siphon.ts'

const hook = pathToFileURL(`${root}/test/support/crash-hook.ts`).href

describe('an engine thread that fails', () => {
  it('ends the process with 70, says why, and leaves a record of each call', async () => {
    const siphon = await startSiphon({ env: { NODE_OPTIONS: `--import=${hook}` } })
    const [caller, callee] = [await RawPhone.open(), await RawPhone.open()]
    try {
      await register(siphon.sip, 'sip:service@127.0.0.1', `sip:service@127.0.0.1:${callee.port}`)
      caller.send(requestText('INVITE', 'sip:service@127.0.0.1'), siphon.sip)
      const invite = await until('the INVITE', () => callee.received.find((m) => m.startsWith('INVITE')))
      callee.send(responseText(invite, '200 OK'), siphon.sip)
      await until('the answer', () => caller.received.some((m) => m.startsWith('SIP/2.0 200')))
      // Its record may still be on its way to the file when the engine goes.
      assert.equal(await caller.ask(requestText('INVITE', 'sip:nobody@127.0.0.1'), siphon.sip), 404)
      siphon.process.child.kill('SIGUSR2')
      assert.equal(await siphon.process.exited, 70, siphon.process.output())
      assert.match(siphon.process.output(), /ERROR: server: the engine thread failed: TypeError/)
      const records = siphon.records().map((r) => [r['response_code'], r['disconnect_initiator']])
      assert.deepEqual(records.toSorted(), [
        [200, 'error'],
        [404, 'server'],
      ])
    } finally {
      caller.close()
      callee.close()
      await siphon.stop('SIGKILL')
    }
  })
})
