// An MCP client of the TypeScript SDK. Arguments: the folder of the packages, then a URL, or a command and its arguments.
// Prints what it got as one line of JSON.
import { pathToFileURL } from "node:url";

const [packages, first, ...rest] = process.argv.slice(2);
const sdk = (path) => import(pathToFileURL(`${packages}/node_modules/@modelcontextprotocol/sdk/dist/esm/${path}`).href);
const { Client } = await sdk("client/index.js");
const { StdioClientTransport } = await sdk("client/stdio.js");
const { StreamableHTTPClientTransport } = await sdk("client/streamableHttp.js");
const { ElicitRequestSchema, CallToolResultSchema } = await sdk("types.js");

const client = new Client(
  { name: "typescript", version: "1.2" },
  { capabilities: { elicitation: { form: {} }, sampling: {}, roots: { listChanged: true } } },
);
let asked = 0;
client.setRequestHandler(ElicitRequestSchema, async () => {
  asked += 1;
  return { action: "accept", content: { name: "Ärger 😀" } };
});
const transport = first.startsWith("http")
  ? new StreamableHTTPClientTransport(new URL(first))
  : new StdioClientTransport({ command: first, args: rest, env: process.env, stderr: "inherit" });
const got = {};
await client.connect(transport);
got.server = client.getServerVersion().name;
got.tools = (await client.listTools()).tools.length;
got.echo = (await client.callTool({ name: "echo", arguments: { message: "größe 😀" } })).content[0].text;
got.unknown = (await client.callTool({ name: "no-such-tool", arguments: {} }).catch((error) => ({ error: error.code }))).isError ?? "thrown";
let progress = 0;
await client.callTool(
  { name: "trigger-long-running-operation", arguments: { duration: 0.2, steps: 4 } },
  undefined,
  { onprogress: () => (progress += 1) },
);
got.progress = progress >= 3;
got.elicited = (await client.callTool({ name: "trigger-elicitation-request", arguments: {} })).content[1].text.includes("Ärger 😀");
got.asked = asked;
const abort = new AbortController();
setTimeout(() => abort.abort("enough"), 200);
got.cancelled = await client
  .callTool({ name: "trigger-long-running-operation", arguments: { duration: 3, steps: 1 } }, undefined, { signal: abort.signal })
  .then(() => false, () => true);
got.timeout = await client
  .callTool({ name: "trigger-long-running-operation", arguments: { duration: 3.5, steps: 1 } }, undefined, { timeout: 200 })
  .then(() => false, (error) => error.code);
got.task = [];
const stream = client.experimental.tasks.callToolStream(
  { name: "simulate-research-query", arguments: { topic: "audits", ambiguous: false } },
  CallToolResultSchema,
  { task: { ttl: 60000 } },
);
for await (const message of stream) if (!got.task.includes(message.type)) got.task.push(message.type);
await client.close();
console.log(JSON.stringify(got));
process.exit(0);
