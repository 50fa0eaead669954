// A demo agent whose calls of tools are recorded and shown.

import { AuditStore, audited } from '../../dist/browser/index.js';

const store = await AuditStore.open({ memoryLimit: 10_000 });
const event = { agent_id: 'demo', graph_run_id: crypto.randomUUID() };
const options = (tool, action) => ({ store, event, tool, action });

// The agent's tools. What they do stays the same; `audited` records their calls.
const search = audited(async ({ query }) => ['tea', 'coffee'].filter((word) => word.includes(query)), options('search', 'query'));
const add = audited((a, b) => a + b, options('calculator', 'add'));
const load = audited(async ({ path }) => {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`HTTP status ${answer.status}`);
  return answer.text();
}, options('browser', 'fetch'));

async function runAgent() {
  await search({ query: 'tea' });
  add(2, 40);
  await load({ path: 'style.css' });
  // Its failure is recorded, and is the agent's to handle.
  await load({ path: 'missing.txt' }).catch(() => {});
}

const at = (id) => document.getElementById(id);

function element(name, text, className = '') {
  return Object.assign(document.createElement(name), { textContent: text, className });
}

function row(entry) {
  const tr = document.createElement('tr');
  const { ts, tool, action, status, duration_ms, in_size, out_size, input_hash } = entry;
  tr.append(
    element('td', ts.slice(11, 23)),
    element('td', tool),
    element('td', action),
    element('td', status, status),
    element('td', duration_ms),
    element('td', in_size),
    element('td', out_size),
    element('td', input_hash.slice(0, 12), 'hash'),
  );
  return tr;
}

/** Offers the values that there are. */
function offer(select, values) {
  for (const value of values) {
    if (![...select.options].some((option) => option.value === value)) select.add(new Option(value));
  }
}

async function show() {
  const filter = Object.fromEntries(['tool', 'status'].map((name) => [name, at(name).value]).filter(([, value]) => value));
  const { entries } = await store.readPage(filter, { order: 'newest-first', limit: 100 });
  at('entries').replaceChildren(...entries.map(row));
  at('empty').hidden = entries.length > 0;
  const { counts } = await store.status();
  const shown = { received: counts.received, stored: counts.stored, dropped: counts.dropped.queueFull, shown: entries.length };
  at('counts').replaceChildren(
    ...Object.entries(shown).map(([name, count]) => {
      const pair = document.createElement('div');
      pair.append(element('dt', name), element('dd', count));
      return pair;
    }),
  );
  offer(at('tool'), entries.map(({ tool }) => tool));
  offer(at('status'), entries.map(({ status }) => status));
}

at('run').addEventListener('click', async () => {
  await runAgent();
  await show();
});
for (const name of ['tool', 'status']) at(name).addEventListener('change', show);
await show();
document.body.dataset.ready = 'true';
