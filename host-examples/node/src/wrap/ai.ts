/** `auditTool` and `auditTools`: tools of the AI SDK (the package `ai`) whose calls are recorded. */

import { isThenable } from './audited.js';
import { Call, type CallOptions, checkStore } from './call.js';

/** What is used of the options that the AI SDK gives a tool. */
interface ExecutionOptions {
  toolCallId?: string;
  abortSignal?: AbortSignal;
}

type Execute = (input: any, options: any) => unknown;

/**
 * The tool, as `tool()` makes it, with its calls recorded under this name. A tool without `execute`, which runs elsewhere,
 * stays as it is.
 */
export function auditTool<T extends object>(name: string, tool: T, options: CallOptions): T {
  checkStore(options);
  const { execute } = tool as { execute?: Execute };
  if (typeof execute !== 'function') return tool;
  const recorded: Execute = (input, given: ExecutionOptions | undefined) => {
    const call = new Call(options, {
      tool: name,
      action: 'call',
      args: input,
      req_id: given?.toolCallId,
      signal: given?.abortSignal,
      attributes: { source: 'ai-sdk' },
    });
    let result: unknown;
    try {
      result = execute.call(tool, input, given);
    } catch (error) {
      call.threw(error);
      throw error;
    }
    if (isThenable(result)) return finished(result, call);
    if (isAsyncIterable(result)) return streamed(result, call);
    call.returned(result);
    return result;
  };
  return { ...tool, execute: recorded };
}

/** All tools of a set, each recorded under its name there. */
export function auditTools<T extends Record<string, object>>(tools: T, options: CallOptions): T {
  return Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, auditTool(name, tool, options)])) as T;
}

async function finished(result: PromiseLike<unknown>, call: Call): Promise<unknown> {
  try {
    const value = await result;
    call.returned(value);
    return value;
  } catch (error) {
    call.threw(error);
    throw error;
  }
}

/** Preliminary answers, of which the last one is the answer. */
async function* streamed(result: AsyncIterable<unknown>, call: Call): AsyncIterable<unknown> {
  let last: unknown;
  let isWhole = false;
  try {
    for await (const value of result) {
      last = value;
      yield value;
    }
    isWhole = true;
    call.returned(last);
  } catch (error) {
    isWhole = true;
    call.threw(error);
    throw error;
  } finally {
    // Whoever read it has stopped.
    if (!isWhole) call.end({ status: 'cancelled' }, 0);
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof (value as { [Symbol.asyncIterator]?: unknown } | null)?.[Symbol.asyncIterator] === 'function';
}
