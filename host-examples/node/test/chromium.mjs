// A headless Chromium, as Debian's package has it, with pages of this package.

import puppeteer from 'puppeteer-core';

import { serve } from '../scripts/serve.mjs';

/** Opens a page of this package. `close` ends the browser and the server. */
export async function page(path) {
  const { server, url } = await serve();
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    // The pages are this package's own. A container has neither namespaces for the sandbox, nor much of /dev/shm.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
  const opened = await browser.newPage();
  const errors = [];
  opened.on('pageerror', (error) => errors.push(error));
  await opened.goto(`${url}${path}`);
  const close = async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  };
  return { page: opened, errors, close };
}
