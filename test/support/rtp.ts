import { randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { SessionDescription } from '../../src/sip/sdp/session-description.ts'
import { Srtp } from './srtp.ts'

/** One end of a call's audio: PCMU with RTCP on the same port, plain or with keys in SDP. */
export class RtpParty {
  readonly port: number
  readonly ssrc: number
  /** Payloads that came, decrypted. */
  readonly received: Buffer[] = []
  /** Packets that came and could not be read. */
  unreadable = 0
  readonly #socket: Socket
  readonly #key: string | null
  #their: { port: number; srtp: Srtp | null } | null = null
  #sequence = 1
  /** Of the key it chose, which its answer must repeat (RFC 4568 §5.1.2). */
  #cryptoTag = '1'
  /** Middle of the last sender report's time, and when it came (RFC 3550 §6.4.1). */
  #lastReport = { time: 0, at: 0 }

  private constructor(socket: Socket, srtp: boolean) {
    this.#socket = socket
    this.port = socket.address().port
    this.ssrc = randomBytes(4).readUInt32BE()
    this.#key = srtp ? randomBytes(30).toString('base64') : null
    socket.on('message', (packet) => this.#onPacket(packet))
  }

  static open({ srtp = false } = {}): Promise<RtpParty> {
    const socket = createSocket('udp4')
    return new Promise((done, fail) => {
      socket.once('error', fail)
      socket.bind(0, '127.0.0.1', () => done(new RtpParty(socket, srtp)))
    })
  }

  /** What it offers, or answers. */
  get sdp(): string {
    const protocol = this.#key === null ? 'RTP/AVP' : 'RTP/SAVP'
    const crypto =
      this.#key === null ? [] : [`a=crypto:${this.#cryptoTag} AES_CM_128_HMAC_SHA1_80 inline:${this.#key}`]
    return [
      ...['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'],
      ...[`m=audio ${this.port} ${protocol} 0`, 'a=rtpmap:0 PCMU/8000', 'a=rtcp-mux', ...crypto, ''],
    ].join('\r\n')
  }

  /** Learns from the other side's SDP where to send, and with which keys that side sends. */
  hear(sdp: string): void {
    const [audio] = SessionDescription.parse(sdp).media
    if (audio === undefined) throw new Error(`no medium in ${sdp}`)
    const chosen = audio
      .attributesOf('crypto')
      .map((v) => /^(\d+) AES_CM_128_HMAC_SHA1_80 inline:([^|\s]+)/.exec(v))
      .find((match) => match !== null)
    const key = chosen?.[2]
    this.#cryptoTag = chosen?.[1] ?? '1'
    if ((key === undefined) !== (this.#key === null)) throw new Error(`keys do not fit: ${sdp}`)
    this.#their = { port: audio.port, srtp: key === undefined ? null : new Srtp(key) }
  }

  /** One packet of 20 ms whose payload begins with `mark`. */
  send(mark: string): void {
    const packet = Buffer.alloc(172, 0xff)
    packet.writeUInt16BE(0x8000, 0)
    packet.writeUInt16BE(this.#sequence, 2)
    packet.writeUInt32BE(this.#sequence * 160, 4)
    packet.writeUInt32BE(this.ssrc, 8)
    packet.write(mark, 12, 'latin1')
    this.#sequence++
    this.#out(this.#key === null ? packet : new Srtp(this.#key).protect(packet))
  }

  /** A sender report that reports `lost` of 256 and `jitter` in clock ticks of the other's stream. Plain RTP only. */
  report(of: number, lost: number, jitter: number): void {
    const packet = Buffer.alloc(52)
    const seconds = Date.now() / 1000 + 2_208_988_800
    packet.writeUInt16BE(0x81c8, 0)
    packet.writeUInt16BE(12, 2)
    packet.writeUInt32BE(this.ssrc, 4)
    packet.writeUInt32BE(Math.floor(seconds) >>> 0, 8)
    packet.writeUInt32BE(Math.floor((seconds % 1) * 2 ** 32), 12)
    packet.writeUInt32BE(this.#sequence, 20)
    packet.writeUInt32BE(of, 28)
    packet.writeUInt8(lost, 32)
    packet.writeUInt32BE(this.#sequence, 36)
    packet.writeUInt32BE(jitter, 40)
    packet.writeUInt32BE(this.#lastReport.time, 44)
    packet.writeUInt32BE(Math.round(((performance.now() - this.#lastReport.at) / 1000) * 65_536) >>> 0, 48)
    this.#out(packet)
  }

  close(): void {
    this.#socket.close()
  }

  #out(packet: Buffer): void {
    if (this.#their === null) throw new Error('it has not heard where to send')
    this.#socket.send(packet, this.#their.port, '127.0.0.1')
  }

  #onPacket(packet: Buffer): void {
    const type = packet[1] ?? 0
    if (type >= 200 && type <= 204) {
      if (type === 200) this.#lastReport = { time: packet.readUInt32BE(10), at: performance.now() }
      return
    }
    const srtp = this.#their?.srtp
    const plain = srtp ? srtp.unprotect(packet) : packet
    if (plain === null) this.unreadable++
    else this.received.push(plain.subarray(12))
  }
}
