const crlf = (text: string): string => `${text.trim().split('\n').join('\r\n')}\r\n`

export const PHONE = crlf(`
v=0
o=alice 2890844526 2890844527 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
b=AS:128
t=0 0
a=x-unknown:kept
m=audio 49170 RTP/AVP 0 8 18 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv
m=video 51372 RTP/AVP 99
c=IN IP4 192.0.2.2
a=rtpmap:99 H264/90000
a=sendonly
`)

/** As a browser offers: BUNDLE, rtx, red, rtcp-fb, extmap, ssrc, a data channel. */
export const BROWSER = crlf(`
v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS 9f2c
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:Zf2x
a=ice-pwd:0rYq8o1G2hK3l4M5n6P7q8R9
a=ice-options:trickle
a=fingerprint:sha-256 F5:B8:DB:B5:83:90:DB:3A:1F:0D:2A:34:A7:78:6C:78:F7:C2:AA:DE:E9:36:4D:15:79:B2:7F:49:07:D6:FE:D6
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:9f2c a1
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:1001 cname:x
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99
c=IN IP4 0.0.0.0
a=mid:1
a=sendrecv
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 H264/90000
a=rtcp-fb:98 nack
a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
a=ssrc-group:FID 2001 2002
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:2
a=sctp-port:5000
`)

/** Lines that nobody would write, and somebody does. */
export const ODD = [
  PHONE.replaceAll('\r\n', '\n'),
  PHONE.trimEnd(),
  `${PHONE}\r\n\r\n`,
  'v=0\r\no=- 1 1 IN IP6 2001:db8::1\ns=caf\xc3\xa9\r\n=\r\nx\r\nm=\r\nm=audio\r\nm=audio x RTP/AVP\r\na=\r\na',
  'm=image 5000 udptl t38\r\na=T38FaxVersion:0\r\n',
  '\0\xff\r\r\n\n',
  '',
]
