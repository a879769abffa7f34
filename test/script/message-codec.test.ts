import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { BatchReader, type Batch } from '../../src/script/conversation.ts'
import * as codec from '../../src/script/message-codec.ts'
import type { Message } from '../../src/sip/message/message.ts'
import { parseMessage } from '../../src/sip/message/parse.ts'

function there(message: Message): Message {
  const batch: Batch = []
  codec.writeMessage(batch, message)
  const reader = new BatchReader(batch)
  return message.kind === 'request'
    ? codec.buildRequest(codec.readRequest(reader))
    : codec.buildResponse(codec.readResponse(reader))
}

const seen = ({ headers, body }: Message): unknown => [
  headers.fields.map(({ name, key, value }) => [name, key, value]),
  body,
]

describe('a message on its way to a handler', () => {
  it('has every field of the RFC 4475 messages as received: quoted NULs, colons, empty values, unknown names', () => {
    const folder = new URL('../fixtures/rfc4475/', import.meta.url)
    let compared = 0
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.dat'))) {
      const parsed = parseMessage(readFileSync(new URL(file, folder), 'latin1'))
      if (!parsed.ok) continue
      assert.deepEqual(seen(there(parsed.message)), seen(parsed.message), file)
      compared++
    }
    assert.ok(compared > 20, `${compared} messages`)
  })
})
