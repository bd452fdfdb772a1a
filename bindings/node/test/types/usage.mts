// What must compile, and (each line after a @ts-expect-error) what must not.

import { createReadStream, promises as fs } from 'node:fs';
import {
  Client,
  OutlastError,
  Session,
  Upload,
  Uploader,
  outlastFetch,
  version,
  type Credential,
  type Progress,
  type Result,
  type Signed,
  type Token,
  type UploadEvent,
} from 'outlast';

export async function everything(signal: AbortSignal): Promise<void> {
  await using client = new Client({ limitRate: 4n, stateDir: new URL('file:///var/lib/outlast'), workers: 2 });
  client.limitRate(null);
  await using session = new Session({ client, profile: 'LAB', waitForLoginMs: 60_000, cliRcFile: 'rc', namespace: 'n' });
  const token: Token = await session.token({ timeoutMs: 1000, signal });
  const text: string = token.value;
  const ends: Date | null = token.expiresAt;
  const signed: Signed = await session.sign('POST', new URL('https://x.invalid/'), { body: '{}', contentType: 'application/json' });
  const authorization: string | undefined = signed.headers['authorization'];
  session.reject(signed.generation);
  const answer: Response = await session.fetch('https://x.invalid/', { method: 'PUT', body: 'x', signal });
  const send: typeof fetch = outlastFetch(session, fetch);
  await send('https://x.invalid/');

  await using uploader = new Uploader(session);
  const result: Result = await uploader.upload('db.tar', {
    bucketName: 'b',
    partSize: 1n,
    metadata: { a: 'b' },
    storageTier: 'Archive',
    opcChecksumAlgorithm: 'SHA384',
    opcContentSha384: 'AAAA',
    contentMd5: 'AAAA',
    signal,
    onProgress: (now: Progress) => {
      const sent: bigint = now.sent;
      const total: bigint | null = now.total;
      void [sent, total];
    },
  });
  const size: bigint = result.size;
  const upload: Upload = await uploader.start(createReadStream('db.tar'), { bucketName: 'b', name: 'n', signal });
  for await (const event of upload.events()) {
    const one: UploadEvent = event;
    if (one.kind === 'parked' && one.error) console.log(one.error.code);
  }
  await upload.wait({ timeoutMs: 5 });
  upload.cancel({ onFailure: 'abort' });

  const bytes = new Uint8Array(5);
  for (const source of [
    bytes, Buffer.from(bytes), bytes.buffer, new DataView(bytes.buffer), new Blob([bytes]), new Blob([bytes]).stream(), [bytes],
    await fs.open('x'), new URL('file:///x'), (async function* () { yield bytes; })(), new SharedArrayBuffer(5),
  ]) await uploader.upload(source, { bucketName: 'b', name: 'n' });

  new Session({ endpoint: 'https://x.invalid', supply: (): Credential => ({ token: 't', privateKey: bytes, expiresAt: new Date() }) });
  new Session({ endpoint: 'https://x.invalid', supply: async () => { throw new OutlastError('sign-in-needed', 'why', { retryAfterMs: 5 }); } });
  void [text, ends, authorization, answer, size, version];
}

export function judge(error: unknown): string {
  if (!(error instanceof OutlastError)) throw error;
  switch (error.code) {
    case 'sign-in-needed':
      return error.retry;
    case 'cancelled':
      return String(error.resumable);
    default:
      return `${error.httpStatus} ${error.serviceCode} ${error.requestId}`;
  }
}

export async function refused(uploader: Uploader, session: Session): Promise<void> {
  // @ts-expect-error a bucket is needed
  await uploader.upload('x', { name: 'n' });
  // @ts-expect-error no such source
  await uploader.upload(5, { bucketName: 'b' });
  // @ts-expect-error text is no bytes
  await uploader.upload(['x'], { bucketName: 'b' });
  // @ts-expect-error no such option
  await uploader.upload('x', { bucketName: 'b', partsize: 5 });
  // @ts-expect-error no such checksum
  await uploader.upload('x', { bucketName: 'b', opcChecksumAlgorithm: 'MD5' });
  // @ts-expect-error sizes come out as bigints
  const size: number = (await uploader.upload('x', { bucketName: 'b' })).size;
  // @ts-expect-error a supplied session has no profile
  new Session({ supply: () => ({ token: 't' }), endpoint: 'x', profile: 'LAB' });
  // @ts-expect-error a supplied session needs an endpoint
  new Session({ supply: () => ({ token: 't' }) });
  // @ts-expect-error a session of the sessions file has no profile
  new Session({ name: 'pod', profile: 'LAB' });
  // @ts-expect-error a service has a profile or a name
  session.service({ principal: 'ann', auditFile: 'a' });
  session.service({ name: 'backup', principal: 'ann', auditFile: new URL('file:///a') });
  new Session({ name: 'pod', sessionsFile: 's.conf', waitForLoginMs: 5 });
  await uploader.upload('x', { bucketName: 'b', parallelUploadCount: 'auto', verifyChecksum: true });
  // @ts-expect-error uploads are started by an uploader
  new Upload();
  // @ts-expect-error no such code
  new OutlastError('no-such-code', 'x');
  // @ts-expect-error facts are read only
  session.status = null;
  void size;
}
