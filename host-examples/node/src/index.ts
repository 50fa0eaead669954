/** The store under Node.js, and the wrappers that record calls of tools. */

export * from './errors.js';
export type { OpenOptions } from './node/settings.js';
export { AuditStore } from './node/open.js';
export type * from './types.js';
