/** `audited`: a function whose calls are recorded. */

import { Call, type CallOptions } from './call.js';

/** What is recorded of each call. */
export interface AuditedOptions<A extends unknown[] = unknown[]> extends CallOptions {
  /** The name of the tool. */
  tool: string;
  /** What it is asked to do. Default: `call`. */
  action?: string;
  /** The arguments that are hashed, and whose size is recorded. Default: the only argument, else the list of all. */
  input?: (...args: A) => unknown;
  /** The signal that cancels a call: a call that fails after that is `cancelled`. */
  signal?: (...args: A) => AbortSignal | undefined;
}

/**
 * The function with its calls recorded: duration, sizes, `input_hash` and `status`, which is `ok`, `error` (with
 * `error_type` among the attributes), `cancelled` (an `AbortError`) or `timeout` (a `TimeoutError`). It takes, returns
 * and throws what the function does.
 */
export function audited<T, A extends unknown[], R>(
  fn: (this: T, ...args: A) => R,
  options: AuditedOptions<A>,
): (this: T, ...args: A) => R {
  const { tool, action = 'call' } = options;
  return function (this: T, ...args: A): R {
    const call = begin();
    let result: R;
    try {
      result = fn.apply(this, args);
    } catch (error) {
      call?.threw(error);
      throw error;
    }
    if (!isThenable(result)) {
      call?.returned(result);
      return result;
    }
    return result.then(
      (value) => {
        call?.returned(value);
        return value;
      },
      (error: unknown) => {
        call?.threw(error);
        throw error;
      },
    ) as R;

    function begin(): Call | undefined {
      try {
        const found = options.input ? options.input(...args) : args.length === 1 ? args[0] : args;
        return new Call(options, { tool, action, args: found, signal: options.signal?.(...args) });
      } catch {
        return new Call(options, { tool, action, args: undefined });
      }
    }
  };
}

/** Whether it is a promise, or something like it. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
