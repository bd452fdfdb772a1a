// The same objects for `import` as for `require`: there is one implementation, so there is one `OutlastError`.
import outlast from './index.cjs';

export const { Client, OutlastError, Session, Upload, Uploader, hasFeature, libraryFile, outlastFetch, version } = outlast;
