// The types of the package are right for whoever uses it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

function check(project) {
  try {
    execFileSync(process.execPath, [at('../node_modules/typescript/bin/tsc'), '--project', at(project)]);
  } catch (error) {
    assert.fail(String(error.stdout));
  }
}

test('the types need no library that a page does not have', () => {
  check('types/page.json');
});

test('a program that uses the package passes tsc --strict, and its mistakes are found', () => {
  check('types/tsconfig.json');
});
