/** mulberry32: small, fast, and the same on every machine for a seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Pieces that mean something to a SIP parser, and pieces that overflow one. */
const WORDS: readonly string[] = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  '\r\n ',
  '\r\n\t',
  '\0',
  '\\',
  '"',
  '\\"',
  '<',
  '>',
  ';',
  ',',
  ':',
  '@',
  '=',
  '%',
  '%00',
  '%41',
  '%',
  '[::1]',
  '[',
  ']',
  '(',
  ')',
  '\x1b[31m',
  '\xff',
  '\xc3\xa9',
  '\xed\xa0\x80',
  ' ',
  '\t',
  'SIP/2.0',
  'sip/2.0',
  'SIP/3.0',
  'INVITE ',
  'REGISTER ',
  'ACK ',
  'CANCEL ',
  'sip:',
  'sips:',
  'tel:',
  'sip:a@b',
  '<sip:a@b;lr>',
  ';tag=',
  ';branch=',
  'z9hG4bK',
  ';rport',
  ';received=',
  ';maddr=',
  ';ttl=',
  'Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n',
  'v:',
  'l: 0\r\n',
  'Content-Length: ',
  'Content-Length: 0\r\n',
  'Content-Length: 4294967296\r\n',
  'Content-Length: -1\r\n',
  'CSeq: ',
  '2147483648',
  '4294967295',
  '99999999999999999999',
  '-1',
  '0',
  '1',
  'From: ',
  'To: ',
  'f: ',
  't: ',
  'i: ',
  'Contact: *\r\n',
  'm: ',
  'Route: ',
  'Max-Forwards: 256\r\n',
  '__proto__',
  'constructor',
  'toString',
  '?',
  '?Route=',
  '&',
  'e=',
  'A'.repeat(256),
  ';a=b'.repeat(64),
  'a.'.repeat(64),
  ' '.repeat(128),
  ',<sip:x>'.repeat(32),
  'Digest username="a", nonce=',
  'nc=00000001',
  'qop="auth,auth-int"',
  'response=""',
  'm=audio 0 RTP/AVP 0\r\n',
  'a=rtpmap:',
  'a=fmtp:96 apt=0\r\n',
  'a=sendrecv\r\n',
  'c=IN IP4 ',
  'application/sdp\n',
  'multipart/x;boundary=',
  '--b\r\nContent-Type: application/sdp\r\n\r\n',
  ' 0'.repeat(256),
]

const LONGEST = 65_600

/** A changed copy. `other` is a second input to take pieces from. */
export function mutate(input: Buffer, other: Buffer, random: () => number): Buffer {
  let bytes: Buffer = Buffer.from(input)
  const below = (n: number): number => Math.floor(random() * n)
  const changes = 1 << below(5)
  for (let i = 0; i < changes; i++) bytes = once(bytes, other, below)
  return bytes.length > LONGEST ? bytes.subarray(0, LONGEST) : bytes
}

function once(bytes: Buffer, other: Buffer, below: (n: number) => number): Buffer {
  const at = below(bytes.length + 1)
  const insert = (piece: Buffer, removed = 0): Buffer =>
    Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + removed)])
  switch (below(10)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
      return bytes
    case 1:
      if (at < bytes.length) bytes[at] = below(256)
      return bytes
    case 2:
      return insert(Buffer.from([below(256)]))
    case 3:
      return insert(Buffer.alloc(0), 1 + below(16))
    case 4:
      return insert(Buffer.from(WORDS[below(WORDS.length)] ?? '', 'latin1'))
    case 5: {
      const word = Buffer.from(WORDS[below(WORDS.length)] ?? '', 'latin1')
      return insert(word, word.length)
    }
    case 6: {
      const from = below(bytes.length + 1)
      return insert(Buffer.from(bytes.subarray(from, from + below(64))))
    }
    case 7: {
      const from = below(other.length + 1)
      return insert(other.subarray(from, from + below(128)), below(64))
    }
    case 8: {
      // A whole line: removed, doubled, or moved.
      const start = Math.max(0, bytes.lastIndexOf('\n', at) + 1)
      const end = bytes.indexOf('\n', at)
      const line = Buffer.from(bytes.subarray(start, end < 0 ? bytes.length : end + 1))
      const rest = Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + line.length)])
      if (below(2) === 0) return rest
      const place = below(bytes.length + 1)
      return Buffer.concat([bytes.subarray(0, place), line, bytes.subarray(place)])
    }
    default: {
      // The same piece many times: what costs more than it should shows here.
      const piece = bytes.subarray(at, at + 1 + below(8))
      const times = Math.min(1 << below(11), Math.floor(LONGEST / Math.max(1, piece.length)))
      return insert(Buffer.concat(Array.from({ length: times }, () => piece)))
    }
  }
}
