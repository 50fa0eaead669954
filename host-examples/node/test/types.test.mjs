// The types of the package are right for whoever uses it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

test('a program that uses the package passes tsc --strict, and its mistakes are found', () => {
  try {
    execFileSync(process.execPath, [at('../node_modules/typescript/bin/tsc'), '--project', at('types/tsconfig.json')]);
  } catch (error) {
    assert.fail(String(error.stdout));
  }
});
