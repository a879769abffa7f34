/**
 * Transfers: a party of a call asks with REFER that the other one be put through to somebody else, blind or after having
 * talked to them (Replaces). SIPhon does it on its own legs, so that neither of the others need understand REFER.
 */
import { b2bua, log, proxy, registrar } from 'siphon'

proxy.onRequest('REGISTER', (request) => registrar.save(request))

b2bua.onInvite(async (call) => {
  const contacts = await registrar.lookup(call.ruri)
  return contacts.length > 0 ? call.fork(contacts) : call.reject(404)
})

b2bua.onRefer(async (call) => {
  log.info('transfer', { id: call.id, by: call.side, to: call.referTo, attended: call.referReplaces })
  // The other call goes through us as well: its two parties are put together.
  if (call.referReplaces) return call.acceptRefer()
  if (call.referTo === undefined) return call.rejectRefer(400)
  const [contact] = await registrar.lookup(call.referTo)
  return contact === undefined ? call.rejectRefer(404) : call.acceptRefer(contact.uri)
})
