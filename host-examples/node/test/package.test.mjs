// What is published works: the package, installed into an empty folder, runs the example of the README.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

test('the packed package runs the example of the README in an empty folder', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'audit-node-package-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const npm = (...args) => execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const [{ filename, files }] = JSON.parse(npm('pack', root, '--json', '--ignore-scripts'));
  const names = files.map(({ path }) => path);
  assert.ok(names.includes('README.md') && names.includes('sql/insert.sql') && !names.some((name) => name.startsWith('test/')));
  assert.ok(names.includes('LICENSE-MIT') && names.includes('LICENSE-APACHE') && !names.includes('dist/built'), names.join());
  // What an engine has not, costs each store that is opened some milliseconds.
  assert.ok(!readFileSync(join(root, 'generated/component.js'), 'utf8').includes('WebAssembly.promising'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  npm('install', `./${filename}`, '--no-audit', '--no-fund', '--offline');

  const [, example] = /```js\n([^]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'));
  writeFileSync(join(folder, 'example.js'), example);
  const env = { PATH: process.env.PATH };
  const said = execFileSync(process.execPath, ['example.js'], { cwd: folder, encoding: 'utf8', env });
  assert.match(said, /^search ok \d+\nshell ok 45\n$/);
  assert.match(readdirSync(join(folder, 'audit')).join(), /^tool_audit_\d{4}-\d\d-\d\d\.jsonl$/);

  // A database needs the package pg, which nobody has installed here.
  const program = `
    import { AuditStore } from 'audit-store';
    const store = await AuditStore.open({ backend: 'postgres', databaseUrl: 'postgres://127.0.0.1:1/x' });
    store.write({});
    console.log(await store.flush().catch((error) => error.message));`;
  writeFileSync(join(folder, 'database.js'), program);
  const missing = execFileSync(process.execPath, ['database.js'], { cwd: folder, encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] });
  assert.match(missing, /npm install pg/);
});
