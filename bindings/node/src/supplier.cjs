// Answers a session's wishes for credentials with what the host's function says.
'use strict';

const { Struct } = require('./memory.cjs');
const { call } = require('./calls.cjs');
const { OutlastError, invalid } = require('./errors.cjs');
const check = require('./options.cjs');

const CREDENTIAL = {
  token: ['token', check.secret],
  tokenType: ['token_type', check.text],
  keyId: ['key_id', check.text],
  privateKey: ['private_key', check.secret],
  passphrase: ['passphrase', check.secret],
  expiresAt: ['expires_unix_ms', check.moment],
  horizon: ['horizon_unix_ms', check.moment],
};

class Supplier {
  #session;
  #supply;

  constructor(session, supply) {
    this.#session = session;
    this.#supply = supply;
  }

  /** Asks the host's function. Whatever it throws is an answer, too. */
  async answer(request) {
    let struct;
    try {
      const given = await this.#supply();
      if (given === undefined || given === null) throw invalid('the supply function returned no credential');
      struct = check.fill('outlast_credential', CREDENTIAL, check.object(given, Object.keys(CREDENTIAL), 'credentials'));
      call('outlast_session_supply', this.#session, request, struct);
    } catch (error) {
      this.#refuse(request, error);
    } finally {
      struct?.wipe();
    }
  }

  #refuse(request, error) {
    const needsPerson = Number(error instanceof OutlastError && error.code === 'sign-in-needed');
    const after = Number.isSafeInteger(error?.retryAfterMs) && error.retryAfterMs > 0 ? error.retryAfterMs : 0;
    const words = new Struct('outlast_pair');
    words.set('value', String(error?.message || error).replaceAll('\0', ''));
    try {
      call('outlast_session_supply_failed', this.#session, request, needsPerson, after, words.view('value'));
    } catch {
      // Nobody waits for this answer any more.
    }
  }
}

module.exports = { Supplier };
