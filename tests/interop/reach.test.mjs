// `reach`, with the real binary: the client of notifications calls an address once, directly or out through a proxy.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { SERVER_BIN, run, temporaryDirectory } from './lib/processes.mjs';

const directory = temporaryDirectory();
const at = (name) => join(directory.path, name);
const asked = [];
let [plain, secure, proxy] = [];

const port = (server) => server.address().port;

before(async () => {
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=shop',
    '-addext', 'subjectAltName=DNS:shop.example', '-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', at('key.pem'), '-out', at('cert.pem'),
  ], { stdio: ['ignore', 'ignore', 'pipe'] });
  const answer = (request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: 'https://elsewhere.example/' });
    response.end(`hello ${request.headers.host}`);
  };
  plain = createServer(answer);
  secure = createSecureServer({ key: readFileSync(at('key.pem')), cert: readFileSync(at('cert.pem')) }, answer);
  proxy = createServer();
  proxy.on('connect', (request, socket) => {
    asked.push(request.url);
    socket.on('error', () => {});
    if (!request.url.startsWith('shop.example:')) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    const host = connect(port(secure), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      host.pipe(socket).pipe(host);
    }).on('error', () => socket.destroy());
  });
  for (const server of [plain, secure, proxy]) {
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  }
});
after(() => {
  for (const server of [plain, secure, proxy]) {
    server?.closeAllConnections();
    server?.close();
  }
  directory.remove();
});

async function reach(url, settings) {
  writeFileSync(at('server.toml'), settings);
  const { code, stdout, stderr } = await run(SERVER_BIN, ['--config', at('server.toml'), 'reach', url, '--json']);
  assert.ok(stdout, stderr);
  return { code, ...JSON.parse(stdout) };
}

const EARNEST = 'issuer = "https://pay.example"\n';
const behind = (more = '') => `${EARNEST}[outbound]\nproxy = "http://127.0.0.1:${port(proxy)}"\ncertificates = "${at('cert.pem')}"\n${more}`;

describe('reach', () => {
  it('says what answers, and follows nothing', async () => {
    const local = `http://127.0.0.1:${port(plain)}`;
    const found = await reach(local, '');
    assert.deepEqual([found.code, found.reached, found.status, found.body], [0, true, 200, `hello 127.0.0.1:${port(plain)}`]);
    const moved = await reach(`${local}/moved`, '');
    assert.deepEqual([moved.code, moved.status, moved.location], [0, 302, 'https://elsewhere.example/']);
    // The same address, of a server in earnest, is one inside its network.
    const refused = await reach(local, EARNEST);
    assert.deepEqual([refused.code, refused.reached, refused.error], [1, false, 'url_refused']);
  });

  it('goes out through a proxy, and speaks TLS with the host itself', async () => {
    const names = behind('proxy_resolves = true\n');
    const found = await reach('https://shop.example/', names);
    assert.deepEqual([found.code, found.status, found.body], [0, 200, 'hello shop.example']);
    assert.deepEqual(asked.splice(0), ['shop.example:443']);
    const elsewhere = await reach('https://inside.example/', names);
    assert.deepEqual([elsewhere.code, elsewhere.error], [1, 'proxy_failed']);
    assert.deepEqual(asked.splice(0), ['inside.example:443']);
    // Without that, the proxy is asked for addresses alone, and for none that is inside.
    const address = await reach('https://1.1.1.1/', behind());
    assert.deepEqual([address.code, address.error], [1, 'proxy_failed']);
    assert.deepEqual(asked.splice(0), ['1.1.1.1:443']);
    for (const settings of [names, behind()]) {
      assert.equal((await reach('https://169.254.169.254/', settings)).error, 'url_refused');
    }
    assert.deepEqual(asked, []);
  });

  it('refuses a proxy that it could not use', async () => {
    for (const proxyUrl of ['https://proxy.example:3128', 'http://ada:secret@proxy.example:3128', 'proxy.example']) {
      writeFileSync(at('server.toml'), `${EARNEST}[outbound]\nproxy = "${proxyUrl}"\n`);
      const { code, stderr } = await run(SERVER_BIN, ['--config', at('server.toml'), 'reach', 'https://shop.example/']);
      assert.notEqual(code, 0);
      assert.match(stderr, /outbound\.proxy must be a host and a port/);
      assert.ok(!stderr.includes('secret'), 'a password is not repeated');
    }
  });
});
