import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import type { Clock } from '../base/clock.ts'
import { Claims } from './claims.ts'
import type { Attachment, Batch, HostMessage } from './conversation.ts'
import type { ScriptHost } from './host.ts'
import { MailboxReader } from './mailbox.ts'
import { WorkerLink, type JobPort } from './worker-link.ts'

/** The engine thread's ear for the control thread's messages about workers: puts their ports to use. */
export function hostReceiver(host: ScriptHost, clock: Clock): (message: HostMessage) => void {
  const link = (worker: Attachment): WorkerLink => {
    const { id, generation, manifest, port, claims } = worker
    const mailbox = new MailboxReader(worker.mailbox)
    port.on('message', (batch: Batch) => {
      // It was left there before this was posted.
      const left = mailbox.fetch()
      if (left !== null) host.receive(id, left)
      mailbox.heard()
      host.receive(id, batch)
    })
    return new WorkerLink(id, generation, manifest, jobPort(port, mailbox), new Claims(claims), clock.now())
  }
  return (message) => {
    switch (message.what) {
      case 'generation':
        return host.switchGeneration(message.generation, message.workers.map(link))
      case 'worker':
        return host.attach(link(message.worker))
      case 'gone':
        return host.workerGone(message.id, message.why)
    }
  }
}

function jobPort(port: MessagePort, mailbox: MailboxReader): JobPort {
  return {
    post: (batch) => port.postMessage(batch),
    fetch: () => mailbox.fetch(),
    comes: (comes) => mailbox.comes(comes),
    drain: () => {
      const left = mailbox.fetch()
      const batches = left === null ? [] : [left]
      for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
        batches.push(got.message as Batch)
      }
      return batches
    },
    close: () => port.close(),
  }
}
