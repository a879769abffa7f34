/**
 * Reads a rules file on standard input and divides every duration in it (windows, offsets, `for:`) by the factor given,
 * so that alerts meant for hours can be watched in seconds:
 *
 *     npx node deploy/prometheus/scale.ts 60 < deploy/prometheus/siphon.rules.yaml
 *
 * Windows of one name are scaled alike; a scaled duration is at least one second.
 */
import { readFileSync } from 'node:fs'

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** @param factor 1 or more */
export function scaleDurations(rules: string, factor: number): string {
  const seconds = (n: string, unit: string): string =>
    `${Math.max(1, Math.round((Number(n) * (UNITS[unit] ?? 1)) / factor))}s`
  return (
    rules
      .replace(/\[(\d+)([smhd])\]/g, (_, n, unit) => `[${seconds(n, unit)}]`)
      .replace(/\boffset (\d+)([smhd])\b/g, (_, n, unit) => `offset ${seconds(n, unit)}`)
      .replace(/\bfor: (\d+)([smhd])\b/g, (_, n, unit) => `for: ${seconds(n, unit)}`)
      // The growth over the window is a slope times the window's seconds.
      .replace(/\* 1800\b/g, `* ${Math.round(1800 / factor)}`)
  )
}

if (import.meta.main) {
  const factor = Number(process.argv[2])
  if (!(factor >= 1)) {
    console.error('usage: scale.ts FACTOR < rules.yaml')
    process.exitCode = 2
  } else {
    process.stdout.write(scaleDurations(readFileSync(0, 'utf8'), factor))
  }
}
