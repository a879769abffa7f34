import assert from 'node:assert/strict'
import { it } from 'node:test'
import { negotiate } from '../../../src/observe/metrics/negotiate.ts'

const CASES: [accept: string | undefined, format: string, why: string][] = [
  [undefined, 'text', 'nothing asked'],
  ['', 'text', 'an empty header'],
  ['*/*', 'text', 'curl'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text', 'a browser'],
  ['text/plain;version=0.0.4', 'text', 'text'],
  ['application/openmetrics-text', 'openmetrics', 'OpenMetrics of any version'],
  ['application/openmetrics-text; version=1.0.0; charset=utf-8', 'openmetrics', 'with parameters'],
  ['application/openmetrics-text; version="1.0.0"', 'openmetrics', 'quoted'],
  ['APPLICATION/OpenMetrics-Text;Version=1.0.0', 'openmetrics', 'in any case'],
  ['application/openmetrics-text;version=0.0.1', 'text', 'a version we do not write'],
  ['application/openmetrics-text;version=1.0.0;q=0', 'text', 'refused'],
  ['application/openmetrics-text;q=0.3,text/plain;q=0.7', 'text', 'text preferred'],
  ['application/openmetrics-text;q=0.7,text/plain;q=0.3', 'openmetrics', 'OpenMetrics preferred'],
  ['application/openmetrics-text,text/plain', 'openmetrics', 'asked for by name'],
  ['application/*', 'text', 'not named'],
  ['application/*,text/plain;q=0.1', 'text', 'not named, though its type is wanted more than text'],
  ['application/openmetrics-text;q=nonsense', 'text', 'a q that is none'],
  [
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    'openmetrics',
    'Prometheus 2',
  ],
  [
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
    'openmetrics',
    'Prometheus 3',
  ],
]

for (const [accept, format, why] of CASES) {
  it(`${why}: ${format}`, () => assert.equal(negotiate(accept), format))
}
