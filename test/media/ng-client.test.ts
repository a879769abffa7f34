import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Address } from '../../src/base/address.ts'
import { NgClient, type NgAnswer } from '../../src/media/ng-client.ts'
import { createSpine } from '../../src/spine/spine.ts'
import { countingIdentifiers } from '../support/counting-identifiers.ts'
import { FakeClock } from '../support/fake-clock.ts'

const TO: Address = { host: '10.0.0.1', port: 2223 }

function lab() {
  const clock = new FakeClock()
  const spine = createSpine(() => undefined)
  const client = new NgClient({ clock, identifiers: countingIdentifiers(), spine })
  const sent: { text: string; to: Address; at: number }[] = []
  client.use(4, {
    send: (text, to) => void sent.push({ text, to, at: clock.now() }),
    close: () => Promise.resolve(),
  })
  const answers: NgAnswer[] = []
  const outcomes: string[] = []
  spine.mediaCommandDone.subscribe(({ command, outcome, ms }) => outcomes.push(`${command} ${outcome} ${ms}`))
  const ask = (): void => client.ask(TO, { command: 'offer', sdp: 'v=0\xff' }, 1_000, (a) => answers.push(a))
  const cookie = (i = 0): string => sent[i]?.text.split(' ')[0] ?? ''
  return { clock, client, sent, answers, outcomes, ask, cookie }
}

describe('the NG client', () => {
  it('sends a cookie and a bencoded dictionary, and repeats the very same bytes within the time limit', () => {
    const { clock, sent, answers, ask, outcomes, client } = lab()
    ask()
    assert.match(sent[0]?.text ?? '', /^\S+ d7:command5:offer3:sdp4:v=0\xffe$/)
    clock.advance(999)
    assert.deepEqual(
      sent.map(({ at }) => at),
      [0, 125, 375, 875],
    )
    assert.equal(new Set(sent.map(({ text }) => text)).size, 1)
    assert.equal(answers.length, 0)
    clock.advance(1)
    assert.equal(answers[0]?.outcome, 'timeout')
    assert.deepEqual(outcomes, ['offer timeout 1000'])
    assert.equal(clock.pendingTimers + client.pending, 0)
  })

  it('takes the first answer and no other', () => {
    const { clock, client, answers, ask, cookie, outcomes } = lab()
    ask()
    clock.advance(3)
    client.receive(`${cookie()} d6:result2:ok3:sdp1:xe`, TO.host, TO.port)
    client.receive(`${cookie()} d6:result5:errore`, TO.host, TO.port)
    assert.equal(answers.length, 1)
    assert.equal(answers[0]?.answer['sdp'], 'x')
    assert.equal(client.strays, 1)
    assert.deepEqual(outcomes, ['offer ok 3'])
    assert.equal(clock.pendingTimers, 0)
  })

  it('ignores an answer that comes late, from elsewhere, or to nobody', () => {
    const { clock, client, answers, ask, cookie } = lab()
    ask()
    client.receive(`${cookie()} d6:result2:oke`, '10.0.0.9', TO.port)
    client.receive(`${cookie()} d6:result2:oke`, TO.host, 9)
    for (const text of ['', ' ', 'x', `${cookie()}`, 'other d6:result2:oke'])
      client.receive(text, TO.host, TO.port)
    assert.equal(answers.length, 0)
    clock.advance(1_000)
    client.receive(`${cookie()} d6:result2:oke`, TO.host, TO.port)
    assert.deepEqual(
      answers.map((a) => a.outcome),
      ['timeout'],
    )
    assert.equal(client.strays, 8)
  })

  it('settles on what is no answer, and on a refusal with its words', () => {
    const { client, answers, ask, cookie, outcomes } = lab()
    const texts = ['', 'junk', 'i1e', 'd6:resulti1ee', 'd3:sdp1:xe', 'd6:result5:error12:error-reason4:Whyye']
    texts.forEach((text, i) => {
      ask()
      client.receive(`${cookie(i)} ${text}`, TO.host, TO.port)
    })
    assert.deepEqual(
      answers.map((a) => a.outcome),
      ['malformed', 'malformed', 'malformed', 'malformed', 'malformed', 'error'],
    )
    assert.equal(answers.at(-1)?.what, 'Whyy')
    assert.equal(outcomes.length, 6)
  })

  it('has a cookie for each command, and ends all of them when it closes', async () => {
    const { clock, client, sent, answers, ask } = lab()
    for (let i = 0; i < 50; i++) ask()
    assert.equal(new Set(sent.map(({ text }) => text.split(' ')[0])).size, 50)
    await client.close()
    assert.equal(answers.length, 50)
    assert.equal(clock.pendingTimers + client.pending, 0)
  })
})
