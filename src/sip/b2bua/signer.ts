import type { Request, Response } from '../message/message.ts'
import type { Header } from './events.ts'

/** What answers the challenges of one destination: `DigestClient`. Its credentials go there and nowhere else. */
export interface Signer {
  /** The request with credentials; null when there is no use in trying. */
  retry(response: Response, request: Request, tries: number): Request | null
  /**
   * Whether a challenge is of a realm that has been answered before. Its name alone is no proof: a callee who answered the INVITE
   * without asking knows it, and would collect a digest by asking in the BYE (CVE-2021-41158).
   */
  knows(response: Response): boolean
}

export function isChallenge({ status }: Response): boolean {
  return status === 401 || status === 407
}

/** The credentials that a request carries. */
export function credentialsOf({ headers }: Request): readonly Header[] {
  if (!headers.has('authorization') && !headers.has('proxy-authorization')) return NONE
  return headers.fields
    .filter(({ key }) => key === 'authorization' || key === 'proxy-authorization')
    .map(({ name, value }): Header => [name, value])
}

const NONE: readonly Header[] = []
