// The same objects for `import` as for `require`.
import oci from './oci.cjs';

export const { SessionHttpClient, SessionAuthenticationDetailsProvider } = oci;
