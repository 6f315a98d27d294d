// The notifications of tests/vectors: every byte of them reaches the daemon, which judges them.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';

import { Client } from '../src/index.mjs';

const FILE = new URL('../../../tests/vectors/webhook.txt', import.meta.url);
const KEYS = ['name', 'secret', 'header', 'headers', 'body', 'now', 'tolerance', 'expect', 'cause'];

/** A record's values, as bytes. */
const record = (lines) => Object.fromEntries(lines.map((line) => {
  const [, key, encoded, value = ''] = /^([a-z0-9_]+?)(_base64url)?:(?: (.+))?$/.exec(line);
  assert.ok(KEYS.includes(key), line);
  return [key, Buffer.from(value, encoded ? 'base64url' : 'latin1')];
}));
const VECTORS = readFileSync(FILE, 'utf8').split(/\n\n+/)
  .map((part) => part.split('\n').filter((line) => line && !line.startsWith('#')))
  .filter((lines) => lines.length > 0)
  .map(record);

const directory = mkdtempSync(join(tmpdir(), 'cf-vectors-'));
const socket = join(directory, 'api.sock');
let seen;
let server;

before(async () => {
  server = createServer(async (request, response) => {
    seen = JSON.parse(await text(request));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"event":{}}');
  });
  await new Promise((resolve) => { server.listen(socket, resolve); });
});
after(async () => {
  await new Promise((resolve) => { server.close(resolve); });
  rmSync(directory, { recursive: true });
});

it('a notification is handed over to the byte', async () => {
  assert.ok(VECTORS.length > 10 && VECTORS.every(({ name }) => name));
  const client = new Client({ plugin: 'my-plugin/1.0', socket });
  for (const { name, header = '', headers: several, body } of VECTORS) {
    const headers = {};
    for (const [of, value] of several ? JSON.parse(several) : [['x-makepay-signature', String(header)]]) (headers[of] ??= []).push(value);
    await client.verifyWebhook({ headers, body });
    assert.deepEqual(seen.headers, headers, String(name));
    assert.deepEqual(Buffer.from(seen.body_base64, 'base64'), body, String(name));
  }
});
