import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Inputs that found something new, kept: one file each, named by its hash, in a folder a target. */
export const corpusFolder = join(import.meta.dirname, 'corpus')
const fixtures = join(import.meta.dirname, '../fixtures')

const SEEDS: Readonly<Record<string, readonly string[]>> = {
  uri: [
    'sip:alice:secret@example.com:5061;transport=tcp;lr?subject=a&priority=urgent',
    'sips:[2001:db8::1]:5061;user=phone',
    'tel:+1-201-555-0123;phone-context=+1',
    'sip:a%20b@h;method=INVITE;ttl=1;maddr=239.255.255.1',
  ],
  'name-addr': [
    '"A. \\"B\\" C" <sip:a@b;lr>;tag=1;q=0.5;expires=60',
    'sip:a@b;tag=x',
    '<sip:a@b>, "x, y" <sip:c@d?h=1>;+sip.instance="<urn:uuid:0>", *',
  ],
  digest: [
    'Digest username="alice", realm="example.com", nonce="0000000f4240aaaaaaaaaaaaaaaa00000000000000000000000000000027", uri="sip:example.com", response="00000000000000000000000000000000", algorithm=MD5, qop=auth, nc=00000001, cnonce="x"',
    'Basic YTpi, Digest realm="a\\"b", nonce=x, opaque="", stale=true, qop="auth,auth-int", Bearer z',
  ],
  sdp: [
    'application/sdp\nv=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1/127\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 96 97 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:97 rtx/8000\r\na=fmtp:97 apt=0\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\nm=video 0 RTP/SAVPF 34\r\nc=IN IP6 ::1\r\na=rtcp-fb:34 nack\r\n',
    'multipart/mixed;boundary="b"\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type : application/sdp;x=y\r\n\r\nv=0\nm=audio 1 RTP/AVP 8\n\r\n--b--\r\n',
    'text/plain\nm=audio 1 udp/x y\nm=image 2 udptl t38\na=inactive',
  ],
  via: [
    'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport;received=10.0.0.1',
    'SIP / 2.0 / TCP [2001:db8::1]:5061 ;branch=z9hG4bK2;maddr=h;ttl=3 (comment)',
  ],
}

/** What a target begins with: the RFCs' messages or its own seeds, and everything kept from earlier runs. */
export function inputsFor(target: string, folder = corpusFolder): Buffer[] {
  return [...seeds(target), ...kept(target, folder)]
}

function seeds(target: string): Buffer[] {
  if (target !== 'message' && target !== 'framer') {
    return (SEEDS[target] ?? []).map((text) => Buffer.from(text, 'latin1'))
  }
  return ['rfc4475', 'rfc5118'].flatMap((folder) =>
    readdirSync(join(fixtures, folder))
      .filter((file) => file.endsWith('.dat'))
      .map((file) => readFileSync(join(fixtures, folder, file))),
  )
}

/** In order of their names, so that a run can be had again. */
export function kept(target: string, folder = corpusFolder): Buffer[] {
  try {
    return readdirSync(join(folder, target))
      .sort()
      .map((file) => readFileSync(join(folder, target, file)))
  } catch {
    return []
  }
}

export function keep(target: string, input: Buffer, folder = corpusFolder, prefix = ''): string {
  mkdirSync(join(folder, target), { recursive: true })
  const hash = createHash('sha256').update(input).digest('hex').slice(0, 16)
  const path = join(folder, target, prefix + hash)
  writeFileSync(path, input)
  return path
}

/** Puts these in the place of what was kept. */
export function replaceKept(target: string, inputs: readonly Buffer[], folder = corpusFolder): void {
  rmSync(join(folder, target), { recursive: true, force: true })
  for (const input of inputs) keep(target, input, folder)
}
