import type { HealthState } from '../core/gateway/health.ts'
import type { Algorithm, DestinationSettings, GroupSettings, RerouteCause } from '../core/gateway/settings.ts'
import type { Batch, BatchReader } from './conversation.ts'

/** What scripts and the engine say to each other about gateways, as items of a batch. All texts are binary text. */

export interface DestinationView extends DestinationSettings {
  readonly group: string
  readonly state: HealthState
}

export function writeDestination(batch: Batch, view: DestinationView): void {
  batch.push(view.group, view.state)
  writeSettings(batch, view)
}

export function readDestination(reader: BatchReader): DestinationView {
  const group = reader.string()
  const state = reader.string() as HealthState
  return { group, state, ...readSettings(reader) }
}

export interface WishView {
  readonly key: string | null
  readonly attrs: Readonly<Record<string, string>>
  readonly exclude: readonly string[]
}

export function writeWish(batch: Batch, { key, attrs, exclude }: WishView): void {
  batch.push(key)
  writePairs(batch, attrs)
  batch.push(exclude.length, ...exclude)
}

export function readWish(reader: BatchReader): WishView {
  return { key: reader.text(), attrs: readPairs(reader), exclude: readStrings(reader) }
}

/** A group as a script says it: what it leaves out is null, and the engine's to fill in. */
export interface GroupView extends Pick<GroupSettings, 'name' | 'sourceNetworks' | 'destinations'> {
  readonly algorithm: Algorithm
  readonly probe: boolean
  readonly probeIntervalMs: number | null
  readonly failureThreshold: number | null
  readonly rerouteCauses: readonly RerouteCause[] | null
}

export function writeGroup(batch: Batch, group: GroupView): void {
  batch.push(group.name, group.algorithm, group.probe ? 1 : 0)
  batch.push(group.probeIntervalMs ?? -1, group.failureThreshold ?? -1)
  batch.push(group.rerouteCauses?.length ?? -1, ...(group.rerouteCauses ?? []).map(String))
  batch.push(group.sourceNetworks.length, ...group.sourceNetworks, group.destinations.length)
  for (const destination of group.destinations) writeSettings(batch, destination)
}

export function readGroup(reader: BatchReader): GroupView {
  const name = reader.string()
  const algorithm = reader.string() as Algorithm
  const probe = reader.number() === 1
  const probeIntervalMs = given(reader.number())
  const failureThreshold = given(reader.number())
  const count = reader.number()
  const causes = Array.from({ length: Math.max(count, 0) }, () => reader.string())
  const rerouteCauses = causes.map((c): RerouteCause => (c === 'transport' ? c : Number(c)))
  const sourceNetworks = readStrings(reader)
  const destinations = Array.from({ length: reader.number() }, () => readSettings(reader))
  return {
    name,
    algorithm,
    probe,
    probeIntervalMs,
    failureThreshold,
    rerouteCauses: count < 0 ? null : rerouteCauses,
    sourceNetworks,
    destinations,
  }
}

function writeSettings(batch: Batch, d: DestinationSettings): void {
  batch.push(d.name, d.uri, d.hop, d.address, d.weight, d.priority)
  writePairs(batch, d.attrs)
}

function readSettings(reader: BatchReader): DestinationSettings {
  return {
    name: reader.string(),
    uri: reader.string(),
    hop: reader.string(),
    address: reader.text(),
    weight: reader.number(),
    priority: reader.number(),
    attrs: readPairs(reader),
  }
}

function writePairs(batch: Batch, pairs: Readonly<Record<string, string>>): void {
  const entries = Object.entries(pairs)
  batch.push(entries.length)
  for (const [name, value] of entries) batch.push(name, value)
}

function readPairs(reader: BatchReader): Record<string, string> {
  const pairs: [string, string][] = []
  for (let left = reader.number(); left > 0; left--) pairs.push([reader.string(), reader.string()])
  return Object.fromEntries(pairs)
}

function readStrings(reader: BatchReader): string[] {
  return Array.from({ length: reader.number() }, () => reader.string())
}

function given(number: number): number | null {
  return number < 0 ? null : number
}
