// Builds the package: the component as JavaScript and core WebAssembly (jco), the statements for PostgreSQL, and the
// compiled TypeScript. `AUDIT_COMPONENT` names the component of the world `full`; it is what `cargo xtask components`
// leaves by default.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

if (process.argv[2] === '--help') {
  console.log('usage: npm run build   (AUDIT_COMPONENT=FILE names the component)');
  process.exit();
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const repository = join(root, '../..');
const component = process.env.AUDIT_COMPONENT || join(repository, 'target/components/audit-store.wasm');

if (!existsSync(component)) {
  console.error(`there is no component ${component}: run \`cargo xtask components\`, or name it by AUDIT_COMPONENT`);
  process.exit(1);
}

function run(name, ...args) {
  execFileSync(process.execPath, [join(root, 'node_modules', name), ...args], { cwd: root, stdio: 'inherit' });
}

for (const folder of ['generated', 'dist', 'sql']) rmSync(join(root, folder), { recursive: true, force: true });

const how = ['--name', 'component', '--instantiation', 'sync', '--no-nodejs-compat', '--no-wasi-shim', '--minify', '--quiet'];
run('@bytecodealliance/jco/dist/jco.js', 'transpile', component, '--out-dir', 'generated', ...how);
// Promises of exports are for asynchronous calls, which this package does not make. Where the engine has none, each of
// them is an exception, for whose message V8 parses the file again: 20 ms for each store that is opened.
const glue = join(root, 'generated/component.js');
writeFileSync(glue, readFileSync(glue, 'utf8').replaceAll('WebAssembly.promising(', '('));

mkdirSync(join(root, 'sql'));
for (const name of readdirSync(join(repository, 'sql')).filter((name) => name.endsWith('.sql'))) {
  copyFileSync(join(repository, 'sql', name), join(root, 'sql', name));
}

for (const name of ['LICENSE-APACHE', 'LICENSE-MIT']) copyFileSync(join(repository, name), join(root, name));

run('typescript/bin/tsc', '--project', 'tsconfig.json');
