// Serves the files of this package on 127.0.0.1, for the example and the tests in a browser: `node scripts/serve.mjs [PORT]`.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Starts the server, and returns it with its URL. Port 0: any that is free. */
export async function serve(port = 0) {
  const server = createServer((request, answer) => {
    let file;
    let contents;
    try {
      const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
      file = join(root, path.endsWith('/') ? `${path}index.html` : path);
      contents = readFileSync(file);
    } catch {
      answer.writeHead(404).end();
      return;
    }
    answer.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(contents);
  });
  await new Promise((resolve, reject) => server.on('error', reject).listen(port, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.argv[2] ?? 8000);
  if (Number.isInteger(port) && port >= 0 && port < 65536) {
    try {
      const { url } = await serve(port);
      console.log(`${url}/examples/browser/`);
    } catch (error) {
      console.error(`cannot serve on port ${port}: ${error.message}; name another port, or 0 for any that is free`);
      process.exitCode = 1;
    }
  } else {
    console.error('usage: node scripts/serve.mjs [PORT]   (8000 by default, 0: any that is free)');
    process.exitCode = process.argv[2] === '--help' ? 0 : 2;
  }
}
