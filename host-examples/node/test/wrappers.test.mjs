// Functions, MCP clients and tools of the AI SDK whose calls are recorded, against the real packages.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { generateText, stepCountIs, tool } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { z } from 'zod';

import { audited, auditMcpClient, auditTool, auditTools } from '../dist/index.js';
import { canonicalText } from '../dist/wrap/input.js';
import { all, folder, open } from './setting.mjs';

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

test('the canonical form is that of RFC 8785', () => {
  // Appendix B and section 3.2.3 of the RFC.
  const numbers = '[333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001, -0, 9007199254740993]';
  assert.equal(canonicalText(numbers), '[333333333.3333333,1e+30,4.5,0.002,1e-27,0,9007199254740992]');
  const keys = '{"€":1,"\\r":2,"\\ufb33":3,"1":4,"😀":5,"\\u0080":6,"ö":7,"__proto__":{"10":1,"9":2}}';
  const expected = '{"\\r":2,"1":4,"__proto__":{"10":1,"9":2},"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}';
  assert.equal(canonicalText(keys), expected);
  assert.equal(canonicalText('" {\\"b\\": 1, \\"a\\": [ ]}"'), '{"a":[],"b":1}');
  assert.equal(canonicalText('"{no json"'), '"{no json"');
});

test('a function does what it did, and its calls are recorded', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const options = { store, tool: 'add', event: { agent_id: 'planner', attributes: { model: 'large' } } };
  const object = { base: 2, add: audited(function (a, b) { return this.base + a + b; }, options) };
  assert.equal(object.add(3, 4), 9);
  const search = audited(async ({ query }) => `found ${query}`, { store, tool: 'search', action: 'query' });
  assert.equal(await search({ query: 'é', a: 1 }), 'found é');
  const [add, found] = await all(store.read());
  assert.deepEqual([add.tool, add.action, add.status, add.agent_id, add.out_size], ['add', 'call', 'ok', 'planner', 1]);
  assert.deepEqual([add.input_hash, add.in_size, add.attributes], [sha256('[3,4]'), 5, { model: 'large' }]);
  const canonical = '{"a":1,"query":"é"}';
  assert.deepEqual([found.input_hash, found.in_size], [sha256(canonical), Buffer.byteLength(canonical)]);
  assert.deepEqual([found.action, found.status, found.out_size], ['query', 'ok', 8]);
});

test('how a call failed is recorded, and what it has thrown is thrown', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const thrower = (error) => audited(() => { throw error; }, { store, tool: 'sync' });
  const rejecter = (error) => audited(async () => { throw error; }, { store, tool: 'async' });
  const cases = [
    [new TypeError('t'), 'error', 'TypeError'],
    [Object.assign(new Error('no file'), { code: 'ENOENT' }), 'error', 'ENOENT'],
    [new Error('plain'), 'error', 'Error'],
    ['a text', 'error', 'string'],
    [new DOMException('stop', 'AbortError'), 'cancelled', 'AbortError'],
    [new DOMException('late', 'TimeoutError'), 'timeout', 'TimeoutError'],
  ];
  for (const [error] of cases) {
    assert.throws(() => thrower(error)(), (thrown) => thrown === error);
    await assert.rejects(rejecter(error)(), (thrown) => thrown === error);
  }
  const expected = cases.flatMap(([, status, type]) => [[status, type], [status, type]]);
  const entries = await all(store.read());
  assert.deepEqual(entries.map(({ status, attributes }) => [status, attributes.error_type]), expected);
});

test('a call that its signal ends is cancelled, or timed out', async (t) => {
  // The timer of `AbortSignal.timeout` does not keep the process alive.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  const store = await open(t, { dir: folder(t) });
  const waits = audited(
    ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
    { store, tool: 'waits', signal: ({ signal }) => signal, input: () => ({}) },
  );
  const controller = new AbortController();
  const cancelled = waits({ signal: controller.signal });
  controller.abort();
  await assert.rejects(cancelled);
  await assert.rejects(waits({ signal: AbortSignal.timeout(1) }));
  assert.deepEqual((await all(store.read())).map(({ status }) => status), ['cancelled', 'timeout']);
});

test('a wrapper never makes a call fail', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const cycle = {};
  cycle.cycle = cycle;
  const broken = { store, tool: 'odd', event: () => { throw new Error('no'); }, input: () => { throw new Error('no'); } };
  assert.equal(audited((value) => value, broken)(cycle), cycle);
  assert.equal(audited((value) => value, { store, tool: 'odd' })(cycle), cycle);
  assert.equal(audited(() => 10n, { store, tool: 'odd' })(7n), 10n);
  const entries = await all(store.read());
  assert.deepEqual(entries.map(({ status, in_size }) => [status, in_size]), [['ok', 0], ['ok', 0], ['ok', 3]]);
});

test('a wrapper without a store is refused, and one whose store fails makes no call fail', async () => {
  const missing = { message: 'store: found undefined; accepted is an AuditStore' };
  assert.throws(() => audited(() => 1, { tool: 'x' }), missing);
  assert.throws(() => auditTools({ x: { execute: () => 1 } }, {}), missing);
  assert.throws(() => auditMcpClient({ callTool: async () => ({}) }), missing);
  const fails = () => {
    throw new Error('on purpose');
  };
  const store = { write: fails, sha256: fails, writeLater: fails };
  assert.equal(audited(() => 1, { store, tool: 'x' })(), 1);
  assert.equal(await audited(async () => 1, { store, tool: 'x' })(), 1);
  assert.equal(auditTool('x', { execute: () => 1 }, { store }).execute({}), 1);
});

test('the call of an async generator is recorded at its end, with how it ended', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const words = audited(
    async function* (fails) {
      const got = yield 'one';
      if (fails) throw new RangeError('on purpose');
      yield got ?? 'three';
      return 'end';
    },
    { store, tool: 'words' },
  );
  const begun = words(false);
  assert.deepEqual((await store.readPage()).entries, []);
  assert.deepEqual(await begun.next(), { value: 'one', done: false });
  assert.deepEqual(await begun.next('two'), { value: 'two', done: false });
  assert.deepEqual(await begun.next(), { value: 'end', done: true });
  assert.deepEqual(await all(words(false)), ['one', 'three']);
  await assert.rejects(all(words(true)), RangeError);
  for await (const _ of words(false)) break;
  await assert.rejects(words(false).throw(new TypeError('of the reader')), TypeError);
  const seen = (await all(store.read())).map(({ status, out_size, attributes }) => [status, out_size, attributes.error_type]);
  const expected = [['ok', 6, undefined], ['ok', 8, undefined], ['error', 0, 'RangeError'], ['cancelled', 3, undefined]];
  assert.deepEqual(seen.sort(), [...expected, ['error', 0, 'TypeError']].sort());
});

test('calls of an MCP client are recorded', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const server = new McpServer({ name: 'demo', version: '1.2.3' });
  server.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text }) => ({ content: [{ type: 'text', text }] }));
  server.registerTool('fails', {}, () => ({ isError: true, content: [] }));
  server.registerTool('waits', {}, () => new Promise(() => {}));
  const client = new Client({ name: 'test', version: '1' });
  const [one, other] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(one), client.connect(other)]);
  t.after(() => client.close());
  const recorded = auditMcpClient(client, store, { event: { agent_id: 'test/1' } });
  assert.equal(recorded, client);
  const answer = await client.callTool({ name: 'echo', arguments: { text: 'hello' } });
  assert.deepEqual(answer.content, [{ type: 'text', text: 'hello' }]);
  assert.equal((await client.callTool({ name: 'fails' })).isError, true);
  const controller = new AbortController();
  const waits = client.callTool({ name: 'waits' }, undefined, { signal: controller.signal });
  controller.abort();
  await assert.rejects(waits);
  await assert.rejects(client.callTool({ name: 'waits' }, undefined, { timeout: 1 }));
  const closed = client.callTool({ name: 'waits' });
  await client.close();
  await assert.rejects(closed);
  const entries = await all(store.read());
  const seen = entries.map(({ tool, status, attributes }) => [tool, status, attributes.error_type]);
  assert.deepEqual(seen.slice(0, 2), [['echo', 'ok', undefined], ['fails', 'error', 'tool_error']]);
  assert.deepEqual(seen.slice(2).map(([, status]) => status).sort(), ['cancelled', 'error', 'timeout']);
  const [echo] = entries;
  assert.deepEqual([echo.action, echo.agent_id, echo.input_hash], ['tools/call', 'test/1', sha256('{"text":"hello"}')]);
  assert.deepEqual([echo.attributes.server, echo.attributes.source], ['demo 1.2.3', 'mcp']);
  assert.equal(echo.out_size, Buffer.byteLength(JSON.stringify(answer)));
});

test('calls of tools of the AI SDK are recorded', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const tools = auditTools(
    {
      weather: tool({
        description: 'the weather',
        inputSchema: z.object({ city: z.string() }),
        execute: async ({ city }) => ({ city, degrees: 21 }),
      }),
      elsewhere: tool({ description: 'runs elsewhere', inputSchema: z.object({}) }),
    },
    { store, event: { agent_id: 'assistant' } },
  );
  assert.ok(!('execute' in tools.elsewhere));
  let steps = 0;
  const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
  const model = new MockLanguageModelV3({
    doGenerate: async () =>
      ++steps === 1
        ? {
            content: [{ type: 'tool-call', toolCallId: 'call-1', toolName: 'weather', input: '{"city":"Rome"}' }],
            finishReason: { unified: 'tool-calls' },
            usage,
            warnings: [],
          }
        : { content: [{ type: 'text', text: 'It is warm.' }], finishReason: { unified: 'stop' }, usage, warnings: [] },
  });
  const { text, steps: done } = await generateText({ model, tools, prompt: 'Is it warm?', stopWhen: stepCountIs(3) });
  assert.equal(text, 'It is warm.');
  assert.deepEqual(done[0].toolResults[0].output, { city: 'Rome', degrees: 21 });
  const entries = await all(store.read());
  assert.equal(entries.length, 1);
  const [{ tool: name, req_id, agent_id, status, input_hash, out_size, attributes }] = entries;
  assert.deepEqual([name, req_id, agent_id, status], ['weather', 'call-1', 'assistant', 'ok']);
  assert.deepEqual([input_hash, out_size], [sha256('{"city":"Rome"}'), '{"city":"Rome","degrees":21}'.length]);
  assert.deepEqual(attributes, { source: 'ai-sdk' });
});

test('a tool of the AI SDK that streams is recorded once, with its last answer', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const streams = auditTool(
    'streams',
    tool({
      inputSchema: z.object({ fails: z.boolean() }),
      async *execute({ fails }) {
        yield 'a';
        if (fails) throw new RangeError('on purpose');
        yield 'whole';
      },
    }),
    { store },
  );
  assert.deepEqual(await all(streams.execute({ fails: false }, { toolCallId: '1', messages: [] })), ['a', 'whole']);
  await assert.rejects(all(streams.execute({ fails: true }, { toolCallId: '2', messages: [] })), RangeError);
  for await (const _ of streams.execute({ fails: false }, { toolCallId: '3', messages: [] })) break;
  const seen = (await all(store.read())).map(({ req_id, status, out_size }) => [req_id, status, out_size]);
  assert.deepEqual(seen, [['1', 'ok', 5], ['2', 'error', 0], ['3', 'cancelled', 0]]);
});
