// The main job from nothing: server, daemon and store are started, the store is connected, a payment link is made.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Browser } from '../../tests/interop/lib/browser.mjs';
import { Client } from '../node/src/index.mjs';
import { startStore } from './store.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const BIN = process.env.COUNTERFOIL_BIN_DIR ?? join(ROOT, 'target', 'debug');
const MERCHANT = { email: 'ada@harbour.example', password: 'a-password-for-the-demo' };
const interactive = process.env.INTERACTIVE === '1';

const directory = mkdtempSync(join(tmpdir(), 'counterfoil-demo-'));
const dataDir = join(directory, 'server');
const children = [];

let steps = 0;
const step = (text) => console.log(`\n${(steps += 1)}. ${text}`);
const show = (text) => console.log(text.replace(/^/gm, '   '));

const freePort = () => new Promise((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});

function operate(...args) {
  const options = { input: MERCHANT.password, encoding: 'utf8' };
  return execFileSync(join(BIN, 'counterfoil-server'), [...args, '--data-dir', dataDir], options).trim();
}

// The exit code of status says how it is; here the words are enough.
const daemonCommand = (...args) => spawnSync(join(BIN, 'counterfoild'), [...args, '--socket', join(directory, 'api.sock')], { encoding: 'utf8' }).stdout.trim();

/** Starts a program whose output goes to a file, and waits until `isReady`. */
async function start(name, args, isReady) {
  const log = join(directory, `${name}.log`);
  const child = spawn(join(BIN, name), args, { stdio: ['ignore', openSync(log, 'a'), openSync(log, 'a')] });
  children.push(child);
  for (let waited = 0; ; waited += 50) {
    if (await isReady().catch(() => false)) return;
    if (child.exitCode !== null || waited > 30_000) throw new Error(`${name} did not start:\n${readFileSync(log, 'utf8')}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

async function connectAsMerchant(storeUrl) {
  const browser = new Browser(MERCHANT);
  const pressed = await browser.visit(`${storeUrl}/connect`, { method: 'POST', form: [] });
  show(`The store sends the browser to ${pressed.left.slice(0, 90)}…`);
  const landed = await browser.approve(pressed.left);
  show(`${MERCHANT.email} signed in and approved; the browser is back at ${landed.callback.split('&code=')[0].slice(0, 90)}…`);
  await browser.visit(landed.callback);
}

const connected = async (daemon) => (await daemon.status()).state === 'connected';

async function main() {
  const [serverPort, storePort] = [await freePort(), await freePort()];
  const issuer = `http://127.0.0.1:${serverPort}`;
  const storeUrl = `http://127.0.0.1:${storePort}`;
  const socket = join(directory, 'api.sock');

  step('The platform: a company and a merchant who may approve for it');
  show(operate('company', 'add', 'Harbour Books'));
  show(operate('user', 'add', '--email', MERCHANT.email, '--company', 'Harbour Books', '--role', 'admin', '--password-stdin'));

  step(`The server, at ${issuer}`);
  const serve = ['serve', '--issuer', issuer, '--listen', `127.0.0.1:${serverPort}`, '--data-dir', dataDir];
  await start('counterfoil-server', serve, async () => (await fetch(`${issuer}/healthz`)).ok);

  step('The daemon beside the store, with a key that never leaves it');
  const config = join(directory, 'store.toml');
  writeFileSync(config, `platform = "wordpress"
site_url = "${storeUrl}"
redirect_uri = "${storeUrl}/wp-admin/admin-post.php?action=counterfoil_callback"
webhook_url = "${storeUrl}/notification"
plugin_version = "1.0.0"
platform_version = "6.8"
issuer = "${issuer}"
`);
  const run = ['run', '--config', config, '--state-dir', join(directory, 'state'), '--socket', socket];
  const daemon = new Client({ plugin: 'demo/1.0', socket });
  await start('counterfoild', run, () => daemon.status());
  const store = await startStore(storePort, socket);
  show(daemonCommand('status'));

  step(`The merchant presses Connect in the store, at ${storeUrl}`);
  if (interactive) {
    show(`Open ${storeUrl} and press Connect. Sign in as ${MERCHANT.email} with the password ${MERCHANT.password}`);
    show('Waiting for your approval; Ctrl-C ends everything.');
    while (!await connected(daemon)) await new Promise((resolve) => { setTimeout(resolve, 500); });
  } else {
    await connectAsMerchant(storeUrl);
  }

  step('The plugin creates a payment link; daemon and server do the rest');
  const payload = { amount: '19.90', fiatCurrency: 'EUR', orderId: 'DEMO-1' };
  const { json: { paymentLink } } = await daemon.request('POST', 'makepay/payment-links', { json: { payload }, idempotencyKey: 'order-DEMO-1' });
  show(`${paymentLink.fiatAmount} ${paymentLink.fiatCurrency}, ${paymentLink.status}: ${paymentLink.publicUrl}`);
  const checkout = await fetch(paymentLink.publicUrl);
  if (!checkout.ok) throw new Error(`the payment page answered ${checkout.status}`);

  step('What support would see');
  show(daemonCommand('status'));
  if (interactive) {
    console.log(`\nEverything goes on running until you press Ctrl-C. The store is at ${storeUrl}.`);
    await new Promise(() => {});
  }
  store.close();
}

function clean() {
  for (const child of children.reverse()) child.kill('SIGTERM');
  rmSync(directory, { recursive: true, force: true });
}

for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    console.log('\nEnded: nothing is left running.');
    process.exit(130);
  });
}
process.on('exit', clean);
main().then(() => {
  console.log('\nDone: nothing is left running.');
  process.exit(0);
}, (error) => {
  console.error(`\nThe demo failed: ${error.message}`);
  process.exit(1);
});
