/** The figures that the demo shows, out of an answer of /metrics in text format: one line. */
export function figures(exposition: string): string {
  const samples = new Map<string, number>()
  for (const line of exposition.split('\n')) {
    const end = line.lastIndexOf(' ')
    if (end > 0 && !line.startsWith('#')) samples.set(line.slice(0, end), Number(line.slice(end + 1)))
  }
  const level = (name: string): number => samples.get(name) ?? 0
  const results: string[] = []
  let records = 0
  for (const [name, value] of samples) {
    const result = /^siphon_call_attempts_total\{result="(\w+)"\}$/.exec(name)?.[1]
    if (result !== undefined && value > 0) results.push(`${value} ${result.replace('_', ' ')}`)
    if (/^siphon_cdr_records_total\{.*outcome="delivered"/.test(name)) records += value
  }
  const attempts = results.length > 0 ? results.join(', ') : 'none decided yet'
  return [
    `calls: ${level('siphon_calls_active')} active; ${attempts}`,
    `registrations: ${level('siphon_registrations_active')}`,
    `records: ${records}`,
    `HEP packets: ${level('siphon_hep_packets_total{outcome="sent"}')}`,
  ].join(' | ')
}
