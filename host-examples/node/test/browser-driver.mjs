// The driver of the contract run for browsers: hands each JSON line of stdin to a page in Chromium, and prints its answer.

import { createInterface } from 'node:readline';

import { page as open } from './chromium.mjs';

const { page, close } = await open('/test/browser.html');
await page.waitForFunction(() => window.answer !== undefined);
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() !== '') process.stdout.write(`${await page.evaluate((text) => window.answer(text), line)}\n`);
}
await close();
