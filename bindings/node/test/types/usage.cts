// The same types by `require`, and those of `outlast/oci` against the SDK's own.

import outlast = require('outlast');
import oci = require('outlast/oci');
import common = require('oci-common');
import storage = require('oci-objectstorage');

export function clients(session: outlast.Session): storage.ObjectStorageClient[] {
  const httpClient: common.HttpClient = new oci.SessionHttpClient(session);
  const authenticationDetailsProvider: common.AuthenticationDetailsProvider = new oci.SessionAuthenticationDetailsProvider(session, {
    configFile: '~/.oci/config',
    profile: 'LAB',
  });
  return [new storage.ObjectStorageClient({ httpClient }), new storage.ObjectStorageClient({ authenticationDetailsProvider })];
}
