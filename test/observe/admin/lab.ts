import type {
  AdminPort,
  BannedSource,
  GatewayGroup,
  LiveCall,
  Page,
  PageRequest,
  RegisteredContact,
} from '../../../src/observe/admin/port.ts'
import { createAdminServer, type AdminServerOptions } from '../../../src/observe/admin/server.ts'

export const alice: RegisteredContact = {
  aor: 'sip:alice@example.com',
  uri: 'sip:alice@10.0.0.5:5062',
  q: 1,
  expires_remaining: 3541,
  received: '10.0.0.5:5062',
  user_agent: 'phone/1',
}

const calls: LiveCall[] = [
  {
    id: '37aeab1f8b25e3d6-50-4786354c',
    call_id: 'a84b4c76e66710',
    kind: 'proxy',
    state: 'answered',
    a_party: 'sip:alice@example.com',
    b_party: 'sip:bob@10.0.0.6:5060',
    since_seconds: 7,
  },
  {
    id: '37aeab1f8b25e3d6-51-0b9c2f7e',
    call_id: 'f81d4fae',
    kind: 'b2bua',
    state: 'ringing',
    a_party: 'sip:carol@example.com',
    b_party: 'sip:dave@10.0.0.7:5060',
    since_seconds: 2,
  },
]

/** A server of lists, as the engine would be: pages by position. */
export class FakePort implements AdminPort {
  contacts: RegisteredContact[] = [alice]
  readonly calls_: LiveCall[] = [...calls]
  bans_: BannedSource[] = [
    {
      ip: '192.0.2.66',
      reason: 'failed_auth',
      since: '2026-01-02T03:04:05.678Z',
      expires_remaining: 3541,
      score: 21,
      drops: 17,
    },
  ]
  readonly gateways_: GatewayGroup[] = [
    {
      name: 'carriers',
      algorithm: 'weighted',
      up: 1,
      total: 1,
      failure_threshold: 3,
      destinations: [
        {
          name: 'gw1',
          uri: 'sip:gw1.example.net:5060',
          address: null,
          transport: 'UDP',
          healthy: true,
          state: 'up',
          checks_missed: 0,
          consecutive_failures: 0,
          calls_failed: 0,
          weight: 2,
          priority: 1,
          attrs: { region: 'eu' },
        },
      ],
    },
  ]
  readonly marked: string[] = []
  tickedMsAgo = 5
  state: 'starting' | 'ready' | 'draining' = 'ready'
  readonly asked: PageRequest[] = []

  health() {
    return { engineTickedMsAgo: this.tickedMsAgo, uptimeSeconds: 12.7 }
  }
  ready() {
    return this.state
  }
  stats() {
    return Promise.resolve({
      registrations_active: this.contacts.length,
      calls_active: this.calls_.length,
      dialogs_active: 3,
      transactions_active: 5,
      handler_pool_size: 2,
      handlers_inflight: 1,
      script_generation: 1,
    })
  }
  registrations(page: PageRequest) {
    this.asked.push(page)
    const { items, next } = slice(this.contacts, {
      ...page,
      cursor: page.cursor?.replace(/\..*/, '') ?? null,
    })
    return Promise.resolve({ items, next: next === null ? null : `${next}.0` })
  }
  registration(aor: string) {
    const found = this.contacts.filter((c) => c.aor === canonical(aor))
    return Promise.resolve(found[0] ? { aor: found[0].aor, contacts: found } : null)
  }
  async removeRegistration(aor: string) {
    const found = await this.registration(aor)
    this.contacts = this.contacts.filter((c) => c.aor !== found?.aor)
    return found?.aor ?? null
  }
  calls(page: PageRequest) {
    return Promise.resolve(slice(this.calls_, page))
  }
  bans(page: PageRequest) {
    return Promise.resolve(slice(this.bans_, page))
  }
  liftBan(ip: string) {
    const found = this.bans_.find((b) => b.ip === ip)
    this.bans_ = this.bans_.filter((b) => b !== found)
    return Promise.resolve(found?.ip ?? null)
  }
  gateways() {
    return Promise.resolve(this.gateways_)
  }
  markGateway(group: string, destination: string, to: 'up' | 'down') {
    const found = this.gateways_.find(({ name }) => name === group)
    if (found === undefined) return Promise.resolve({ unknown: 'group' as const })
    if (!found.destinations.some(({ name }) => name === destination)) {
      return Promise.resolve({ unknown: 'destination' as const })
    }
    this.marked.push(`${group}/${destination} ${to}`)
    return Promise.resolve({ destination })
  }
  hangUp(id: string): Promise<'hung_up' | 'not_found' | 'proxied'> {
    const call = this.calls_.find((c) => c.id === id)
    if (call === undefined) return Promise.resolve('not_found')
    return Promise.resolve(call.kind === 'proxy' ? 'proxied' : 'hung_up')
  }
}

function slice<T>(all: readonly T[], { limit, cursor }: PageRequest): Page<T> {
  const from = cursor === null ? 0 : Number(cursor)
  return {
    items: all.slice(from, from + limit),
    next: from + limit < all.length ? String(from + limit) : null,
  }
}

function canonical(aor: string): string {
  const [user = '', host = ''] = aor.replace(/^sip:/i, '').split('@')
  return `sip:${decodeURIComponent(user)}@${host.toLowerCase()}`
}

/** A listening admin server on a free port. */
export async function lab(options: Partial<AdminServerOptions> = {}) {
  const port = new FakePort()
  const faults: string[] = []
  const server = createAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    token: null,
    protectReads: false,
    port,
    scrape: () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', body: 'siphon_up 1\n' }),
    version: '0.0.0',
    onFault: (what, error) => faults.push(`${what}: ${String(error)}`),
    ...options,
  })
  const address = await server.listen()
  return { port, server, address, faults, base: `http://127.0.0.1:${address.port}` }
}
