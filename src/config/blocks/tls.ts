import { z } from 'zod'
import { list, optionalBlock } from '../block.ts'
import { choice, flag, isHost, type Kind, nullable, optional, path, required, text } from '../scalars.ts'

export function tlsBlock() {
  return optionalBlock(
    'TLS and WSS. The files are read again when they change and on SIGHUP; connections in progress stay. Absent: TLS only as a client, towards servers whose certificates the public authorities have signed.',
    {
      certificate: nullable(
        path('cert.pem'),
        'PEM file: our certificate and the chain behind it. For who asks for no server name of `certificates`.',
      ),
      private_key: nullable(path('key.pem'), 'PEM file: its private key.'),
      method: optional(
        choice(['TLSv1_2', 'TLSv1_3']),
        'TLSv1_2',
        'Lowest version spoken, in both directions.',
      ),
      certificates: optional(
        list(
          z.strictObject({
            server_name: required(
              list(serverName()),
              'Names in the client hello (SNI) that get this one; `*.example.com` covers one label.',
            ),
            certificate: required(path('cert.pem'), 'PEM file.'),
            private_key: required(path('key.pem'), 'PEM file.'),
          }),
        ),
        [],
        'Certificates by server name: entries { server_name: [names], certificate, private_key }.',
      ),
      verify_client: optional(
        flag(),
        false,
        'Refuse clients without a certificate that `client_ca` has signed. WSS, too.',
      ),
      client_ca: nullable(
        path('client-ca.pem'),
        'PEM file of the authorities for clients. Without `verify_client` clients are asked, and may have none.',
      ),
      client_certificate: nullable(path('client.pem'), 'PEM file: what we show to servers that ask.'),
      client_private_key: nullable(path('client.key'), 'PEM file: its private key.'),
      ca: nullable(path('ca.pem'), 'PEM file of the authorities for servers. Absent: the public ones.'),
      verify_server: optional(
        flag(),
        true,
        'Connect only to servers whose certificate is valid and names the domain called (RFC 5922).',
      ),
    },
  )
}

function serverName(): Kind<string> {
  const write = 'a host name, or "*." and one'
  return text(write, (value) =>
    isHost(value.replace(/^\*\./, '')) && !/^[\d.:]+$/.test(value)
      ? null
      : ['is not a server name', `write ${write}`],
  )
}
