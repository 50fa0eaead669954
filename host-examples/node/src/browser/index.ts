/**
 * The store in a browser: the newest events, in the memory of the page. It runs in the thread of the page, where a batch
 * of events takes some microseconds each.
 */

import { whole } from '../accepted.js';
import { Instance, type Modules } from '../core/component.js';
import { Engine } from '../core/engine.js';
import { AuditError } from '../errors.js';
import type { ComponentConfig, ToEngine } from '../messages.js';
import { guarded, type Link, Store } from '../store.js';
import type { StoreSettings, Whole } from '../types.js';
import { imports } from './wasi.js';

export { AuditError, type ErrorKind, IncompleteError, InvalidError } from '../errors.js';
export type * from '../types.js';
export { auditTool, auditTools } from '../wrap/ai.js';
export { audited, type AuditedOptions } from '../wrap/audited.js';
export type { CallOptions, Recorder } from '../wrap/call.js';
export { auditMcpClient, type McpClient } from '../wrap/mcp.js';

/** How `AuditStore.open` opens a store. */
export interface OpenOptions extends Pick<StoreSettings, 'queueEvents' | 'queueChars'> {
  /** `memory` (default), or `null`: auditing is off. */
  backend?: 'memory' | 'null';
  /** How many events `memory` keeps, from 1. Default: 100 000. */
  memoryLimit?: Whole;
  /** Who gets the warnings. Default: the console. */
  warnings?: (text: string) => void;
}

/** The component's parts. Written out, so that bundlers find them. */
const PARTS: Readonly<Record<string, URL>> = {
  'component.core.wasm': new URL('../../generated/component.core.wasm', import.meta.url),
  'component.core2.wasm': new URL('../../generated/component.core2.wasm', import.meta.url),
  'component.core3.wasm': new URL('../../generated/component.core3.wasm', import.meta.url),
};

let compiled: Promise<Modules> | undefined;

async function compile(): Promise<Modules> {
  const part = async ([name, url]: [string, URL]) => {
    const answer = await fetch(url);
    if (!answer.ok) throw new AuditError('other', `${url}: HTTP status ${answer.status}`);
    return [name, await WebAssembly.compile(await answer.arrayBuffer())] as const;
  };
  const parts = new Map(await Promise.all(Object.entries(PARTS).map(part)));
  return (name) => parts.get(name)!;
}

/** An engine in this thread. Messages wait for their turn, so that a caller never does. */
class Here implements Link {
  readonly channel = new MessageChannel();

  post(message: ToEngine): void {
    this.channel.port1.postMessage(message);
  }

  busy(): void {}

  async end(): Promise<void> {
    this.channel.port1.close();
  }
}

/** A store of audit events. It ends with its page. */
export class AuditStore extends Store {
  private constructor(link: Here, options: OpenOptions, modules: Modules) {
    const warn = guarded(options.warnings ?? ((text: string) => console.warn(text)));
    super(link, options, (text) => warn(`audit-store: ${text}`));
    const engine = new Engine({
      instantiate: () => new Instance(modules, imports(warn)),
      config: config(options),
      flushIntervalMs: 2000,
      recoveryIntervalMs: 300_000,
      spooled: () => new Set(),
      warn: (text) => warn(`audit-store: ${text}`),
      send: (message) => this.receive(message),
    });
    link.channel.port2.onmessage = ({ data }: MessageEvent<ToEngine>) => engine.receive(data);
  }

  /**
   * Opens a store.
   *
   * @throws {AuditError} of the kind `config` for a wrong setting
   */
  static async open(options: OpenOptions = {}): Promise<AuditStore> {
    const modules = await (compiled ??= compile().catch((error: unknown) => {
      // The next one tries again.
      compiled = undefined;
      throw error;
    }));
    return new AuditStore(new Here(), options, modules);
  }

  /** @internal */
  override async sha256(bytes: Uint8Array): Promise<string> {
    const hash = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
    return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

function config({ backend = 'memory', memoryLimit }: OpenOptions): ComponentConfig {
  if (backend !== 'memory' && backend !== 'null') {
    throw new AuditError('config', `backend: found ${JSON.stringify(backend)}; accepted in a browser are memory, null`);
  }
  return memoryLimit === undefined ? { backend } : { backend, memoryLimit: whole('memoryLimit', memoryLimit) };
}
