import type { AuthenticationDetailsProvider, HttpClient, Region, RegionProvider } from 'oci-common';
import type { Session } from './index.cjs';

/**
 * Signs the SDK's requests with the session's credential of the moment; one that is refused with 401 is sent once more, newly
 * signed, if its body can be. The private key never enters JavaScript. The client needs to be told its region or endpoint.
 */
export class SessionHttpClient implements HttpClient {
  constructor(session: Session, fetch?: typeof globalThis.fetch);
  send(request: Parameters<HttpClient['send']>[0], forceExcludeBody?: boolean): Promise<Response>;
}

/**
 * Gives the SDK's own signer the session's token of the moment, and the key and region of the profile, which the SDK reads.
 * It cannot know when a token was refused early: `SessionHttpClient` can.
 */
export class SessionAuthenticationDetailsProvider implements AuthenticationDetailsProvider, RegionProvider {
  constructor(session: Session, options?: { configFile?: string; profile?: string });
  getKeyId(): Promise<string>;
  getPrivateKey(): string;
  getPassphrase(): string | null;
  getRegion(): Region;
}
