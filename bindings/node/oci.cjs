// For clients of the official SDK for TypeScript and JavaScript, so that they outlive their tokens.
'use strict';

const { SessionHttpClient, SessionAuthenticationDetailsProvider } = require('./src/oci.cjs');

exports.SessionHttpClient = SessionHttpClient;
exports.SessionAuthenticationDetailsProvider = SessionAuthenticationDetailsProvider;
