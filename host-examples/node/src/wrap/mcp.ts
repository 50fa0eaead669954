/** `auditMcpClient`: a client of the Model Context Protocol whose calls of tools are recorded. */

import { Call, type CallOptions, checkStore, type Recorder } from './call.js';

/** What is used of a client of `@modelcontextprotocol/sdk`. */
export interface McpClient {
  callTool(params: { name: string; arguments?: Record<string, unknown> | undefined }, ...rest: any[]): Promise<any>;
  getServerVersion?(): { name: string; version: string } | undefined;
}

/**
 * Records every `callTool` of the client, which is changed in place and returned. `status` is `ok`, `error` (with
 * `error_type`: `tool_error` where the tool says so, else the JSON-RPC code), `cancelled` or `timeout`.
 *
 * @param options `event` has fields of every event, such as `agent_id`
 */
export function auditMcpClient<C extends McpClient>(
  client: C,
  store: Recorder,
  options: Omit<CallOptions, 'store'> = {},
): C {
  checkStore({ store });
  const callTool = client.callTool.bind(client) as McpClient['callTool'];
  client.callTool = async (params, ...rest) => {
    const server = client.getServerVersion?.();
    const signal = (rest[1] as { signal?: AbortSignal } | undefined)?.signal;
    const call = new Call(
      { ...options, store },
      {
        tool: String(params?.name ?? ''),
        action: 'tools/call',
        args: params?.arguments ?? {},
        signal,
        attributes: { source: 'mcp', ...(server ? { server: `${server.name} ${server.version}` } : {}) },
      },
    );
    let result: { isError?: boolean };
    try {
      result = (await callTool(params, ...rest)) as typeof result;
    } catch (error) {
      call.threw(error);
      throw error;
    }
    if (result?.isError) call.failed(result);
    else call.returned(result);
    return result;
  };
  return client;
}
