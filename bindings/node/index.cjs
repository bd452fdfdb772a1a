// Uploads that outlive their tokens.
'use strict';

const { functions, where } = require('./src/library.cjs');
const { Struct } = require('./src/memory.cjs');
const check = require('./src/options.cjs');
const { OutlastError } = require('./src/errors.cjs');
const { Client } = require('./src/client.cjs');
const { Session } = require('./src/session.cjs');
const { Upload } = require('./src/upload.cjs');
const { Uploader } = require('./src/uploader.cjs');
const { outlastFetch } = require('./src/fetch.cjs');

exports.Client = Client;
exports.OutlastError = OutlastError;
exports.Session = Session;
exports.Upload = Upload;
exports.Uploader = Uploader;
exports.outlastFetch = outlastFetch;
/** The version of the library that was loaded, and its file. */
exports.version = functions.outlast_version();
exports.libraryFile = where;
/** Whether the library can do something; names are those of `outlast_has_feature`. */
exports.hasFeature = (name) => {
  const wanted = new Struct('outlast_pair');
  wanted.set('name', check.text(name, 'the feature'));
  return functions.outlast_has_feature(wanted.view('name')) === 1;
};
