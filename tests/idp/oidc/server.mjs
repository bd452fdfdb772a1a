// oidc-provider on a loopback port. Arguments: issuer (the address clients use), options as JSON:
// { accessLife, idle, absolute } in seconds. Prints one line of JSON when it listens and ends when its stdin closes.
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const [issuer, options] = [process.argv[2], JSON.parse(process.argv[3])];
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const counts = { refreshes: 0, refused: 0, grants: {} };
const scope = "openid offline_access";

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "job",
      id_token_signed_response_alg: "ES256",
      client_secret: "p%2B+ :s/ecret",
      grant_types: ["refresh_token", "client_credentials", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
      redirect_uris: ["http://127.0.0.1/done"],
      response_types: ["code"],
      application_type: "native",
    },
    {
      client_id: "cli",
      id_token_signed_response_alg: "ES256",
      token_endpoint_auth_method: "none",
      application_type: "native",
      grant_types: ["refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
      redirect_uris: ["http://127.0.0.1/callback", "http://127.0.0.1/", "http://127.0.0.1/done"],
      response_types: ["code"],
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256" }] },
  scopes: ["openid", "offline_access"],
  cookies: { keys: ["loopback"] },
  rotateRefreshToken: true,
  // The default of 15 s would keep access tokens alive long after their end.
  clockTolerance: 0,
  issueRefreshToken: async (ctx, client, code) => client.grantTypeAllowed("refresh_token") && code.scopes.has("offline_access"),
  ttl: {
    AccessToken: options.accessLife,
    ClientCredentials: options.accessLife,
    RefreshToken: (ctx, token) => {
      const rotated = ctx?.oidc?.entities?.RotatedRefreshToken;
      const spent = rotated ? token.totalLifetime() : 0;
      return Math.min(options.idle, options.absolute - spent);
    },
  },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
});

provider.on("grant.success", (ctx) => {
  const kind = ctx.oidc.params.grant_type;
  counts.grants[kind] = (counts.grants[kind] ?? 0) + 1;
  if (kind === "refresh_token") counts.refreshes += 1;
});
provider.on("grant.error", (ctx) => {
  if (ctx.oidc?.params?.grant_type === "refresh_token") counts.refused += 1;
});

async function grantOf(clientId, accountId) {
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(scope);
  return grant.save();
}

// Routes that only tests have: a first refresh token without a browser, a device let in, the counters.
async function forTests(url) {
  switch (url.pathname) {
    case "/test/grant": {
      const client = await provider.Client.find(url.searchParams.get("client"));
      const grantId = await grantOf(client.clientId, "ann");
      const token = new provider.RefreshToken({ accountId: "ann", client, grantId, gty: "authorization_code", scope });
      return { refresh_token: await token.save() };
    }
    case "/test/approve": {
      const code = await provider.DeviceCode.findByUserCode(url.searchParams.get("user_code").replaceAll("-", ""), { ignoreExpiration: true });
      code.accountId = "ann";
      code.grantId = await grantOf(code.clientId, "ann");
      code.scope = scope;
      await code.save();
      return {};
    }
    case "/test/counts":
      return counts;
    default:
      return undefined;
  }
}

const serve = provider.callback();
const server = createServer(async (request, response) => {
  try {
    const found = await forTests(new URL(request.url, "http://127.0.0.1"));
    if (found === undefined) return serve(request, response);
    response.setHeader("content-type", "application/json").end(JSON.stringify(found));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error));
  }
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.resume().on("end", () => process.exit(0));
