/** The store under Node.js, and the wrappers that record calls of tools. */

export { AuditError, type ErrorKind, IncompleteError, InvalidError } from './errors.js';
export type { OpenOptions } from './node/settings.js';
export { AuditStore } from './node/open.js';
export type * from './types.js';
export { auditTool, auditTools } from './wrap/ai.js';
export { audited, type AuditedOptions } from './wrap/audited.js';
export type { CallOptions, Recorder } from './wrap/call.js';
export { auditMcpClient, type McpClient } from './wrap/mcp.js';
