import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import type { Clock } from '../base/clock.ts'
import { Claims } from './claims.ts'
import type { Attachment, Batch, HostMessage } from './conversation.ts'
import type { ScriptHost } from './host.ts'
import { WorkerLink, type JobPort } from './worker-link.ts'

/** The engine thread's ear for the control thread's messages about workers: puts their ports to use. */
export function hostReceiver(host: ScriptHost, clock: Clock): (message: HostMessage) => void {
  const link = (worker: Attachment): WorkerLink => {
    worker.port.on('message', (batch: Batch) => host.receive(worker.id, batch))
    const { id, generation, manifest, port, claims } = worker
    return new WorkerLink(id, generation, manifest, jobPort(port), new Claims(claims), clock.now())
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

function jobPort(port: MessagePort): JobPort {
  return {
    post: (batch) => port.postMessage(batch),
    drain: () => {
      const batches: Batch[] = []
      for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
        batches.push(got.message as Batch)
      }
      return batches
    },
    close: () => port.close(),
  }
}
