// Events: what happened to an upload or its session.
'use strict';

const { constants } = require('./abi.cjs');
const { describe } = require('./errors.cjs');

const KINDS = new Map();
for (const [name, value] of Object.entries(constants)) {
  if (name.startsWith('EVENT_')) KINDS.set(value, name.slice('EVENT_'.length).toLowerCase().replaceAll('_', '-'));
}

const date = (at) => (at ? new Date(Number(at)) : null);

/** A copy of an event that is alive. */
function convert(raw) {
  const kind = raw.get('kind');
  const flags = raw.get('flags');
  const failure = raw.get('error');
  const error = failure ? describe(raw.get('status'), failure) : null;
  const resumable = Boolean(flags & constants.FLAG_RESUMABLE);
  if (error) error.resumable = resumable;
  return {
    kind: KINDS.get(kind) ?? `unknown-${kind}`,
    time: new Date(Number(raw.get('time_unix_ms'))),
    session: Number(raw.get('session')),
    upload: Number(raw.get('upload')),
    generation: Number(raw.get('generation')),
    bytes: raw.get('bytes'),
    total: raw.get('total'),
    part: raw.get('part'),
    count: raw.get('count'),
    moment: date(raw.get('moment_unix_ms')),
    horizon: date(raw.get('horizon_unix_ms')),
    delayMs: Number(raw.get('delay_ms')),
    reused: Boolean(flags & constants.FLAG_REUSED),
    resumable,
    exchanged: Boolean(flags & constants.FLAG_EXCHANGED),
    text: raw.get('text'),
    principal: raw.get('principal'),
    error,
  };
}

module.exports = { convert };
