/** `audited`: a function whose calls are recorded. */

import { Call, type CallOptions, checkStore } from './call.js';
import { size } from './input.js';

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
 * and throws what the function does. The call of an async generator is recorded at its end, as `cancelled` where its
 * reader stops before that.
 */
export function audited<T, A extends unknown[], R>(
  fn: (this: T, ...args: A) => R,
  options: AuditedOptions<A>,
): (this: T, ...args: A) => R {
  const { tool, action = 'call' } = options;
  checkStore(options);
  return function (this: T, ...args: A): R {
    const call = begin();
    let result: R;
    try {
      result = fn.apply(this, args);
    } catch (error) {
      call.threw(error);
      throw error;
    }
    if (isAsyncGenerator(result)) return generated(result, call) as R;
    if (!isThenable(result)) {
      call.returned(result);
      return result;
    }
    return result.then(
      (value) => {
        call.returned(value);
        return value;
      },
      (error: unknown) => {
        call.threw(error);
        throw error;
      },
    ) as R;

    function begin(): Call {
      try {
        const found = options.input ? options.input(...args) : args.length === 1 ? args[0] : args;
        return new Call(options, { tool, action, args: found, signal: options.signal?.(...args) });
      } catch {
        return new Call(options, { tool, action, args: undefined });
      }
    }
  };
}

/** An async generator whose call ends with it: what it has yielded is the answer. */
function generated(from: AsyncGenerator, call: Call): AsyncGenerator {
  let outSize = 0;
  const step = async (next: Promise<IteratorResult<unknown>>, end: string) => {
    try {
      const found = await next;
      if (found.done) call.end({ status: end }, outSize);
      else outSize += size(found.value);
      return found;
    } catch (error) {
      call.threw(error);
      throw error;
    }
  };
  const same = {
    next: (...sent: [] | [unknown]) => step(from.next(...sent), 'ok'),
    // Whoever read it has stopped.
    return: (value: unknown) => step(from.return(value), 'cancelled'),
    throw: (error: unknown) => step(from.throw(error), 'ok'),
  };
  return Object.setPrototypeOf(same, Object.getPrototypeOf(from)) as AsyncGenerator;
}

function isAsyncGenerator(value: unknown): value is AsyncGenerator {
  return Object.prototype.toString.call(value) === '[object AsyncGenerator]';
}

/** Whether it is a promise, or something like it. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
