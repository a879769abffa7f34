import type { Identifiers } from '../../base/identifiers.ts'
import type { CallRecord, RegistrationChanged } from '../../spine/facts.ts'
import type { Spine } from '../../spine/spine.ts'
import { decode } from './record.ts'

export interface CdrPolicy {
  /** A record for every call. Off: exactly the calls that a script wrote for. */
  readonly autoEmit: boolean
  /** Records of registrations too; with `autoEmit` only. */
  readonly includeRegister: boolean
  /** Records of attempts that ended in a 401 or 407 and nothing else. Without it there are none, whoever asked. */
  readonly includeChallenges: boolean
}

export interface CdrTapOptions {
  readonly spine: Spine
  readonly identifiers: Identifiers
  readonly policy: CdrPolicy
  /** Takes a record to the control thread. Called once for each record promised; must not block. */
  readonly push: (record: CallRecord) => void
}

/** The engine's side of call records: decides which there are. */
export class CdrTap {
  readonly #o: CdrTapOptions
  readonly #unsubscribe: (() => void)[]
  #emitted = 0
  #withheld = 0

  constructor(options: CdrTapOptions) {
    this.#o = options
    const { spine, policy } = options
    this.#unsubscribe = [spine.callEnded.subscribe((record) => this.#onEnded(record))]
    if (policy.autoEmit && policy.includeRegister) {
      this.#unsubscribe.push(
        spine.registrationChanged.subscribe((fact) => this.#emit(this.#registration(fact))),
      )
    }
  }

  /** Records pushed. */
  get emitted(): number {
    return this.#emitted
  }

  /** Calls for which the policy wants no record. */
  get withheld(): number {
    return this.#withheld
  }

  close(): void {
    for (const end of this.#unsubscribe) end()
  }

  #onEnded(record: CallRecord): void {
    const { policy } = this.#o
    const wanted = (policy.autoEmit || record.requested) && (!record.challenged || policy.includeChallenges)
    if (wanted) this.#emit(record)
    else this.#withheld++
  }

  #emit(record: CallRecord): void {
    this.#emitted++
    this.#o.push(record)
  }

  #registration(fact: RegistrationChanged): CallRecord {
    return {
      id: this.#o.identifiers.recordId(),
      kind: 'register',
      callId: fact.callId,
      fromUri: fact.fromUri === '' ? fact.aor : fact.fromUri,
      toUri: fact.aor,
      ruri: fact.ruri === '' ? fact.aor : fact.ruri,
      method: 'REGISTER',
      startedAt: fact.at,
      answeredAt: null,
      endedAt: fact.at,
      setupMs: null,
      durationMs: 0,
      responseCode: 200,
      sourceIp: fact.path?.remote.host ?? '',
      sourcePort: fact.path?.remote.port ?? 0,
      destinationIp: null,
      destinationPort: null,
      transport: fact.path?.protocol ?? null,
      userAgent: fact.userAgent,
      authUser: null,
      disconnectInitiator: null,
      sipReason: null,
      legs: [],
      extra: JSON.stringify({ reg_event: fact.event, contact: decode(fact.contact) }),
      requested: false,
      challenged: false,
    }
  }
}
