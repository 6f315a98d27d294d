// The real binaries: started on a free loopback port in a directory of their own, and ended in every way.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { send } from './http.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const binary = (variable, name) => process.env[variable] ?? join(ROOT, 'target/debug', name);
export const SERVER_BIN = binary('COUNTERFOIL_SERVER_BIN', 'counterfoil-server');
export const DAEMON_BIN = binary('COUNTERFOILD_BIN', 'counterfoild');

/** The environment without settings of ours: a test says itself what a process is told. */
const environment = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('COUNTERFOIL')));

/** Asks again until `condition` answers something; fails after `seconds`, which is longer than a busy machine takes. */
export async function until(what, condition, seconds = 120) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > end) assert.fail(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

/** Ports below those that the system gives away by itself: what is here for a restart is nobody's meanwhile. */
const [FIRST_PORT, LAST_PORT] = [14_000, 31_999];
let ports = 0;

/** A port at which nobody is: neither the system nor `freePort` gives it to anybody. */
export const SHUT_PORT = FIRST_PORT - 1;

/** A port that was free a moment ago; each process begins to look at another place. */
export async function freePort() {
  const port = FIRST_PORT + ((process.pid * 97 + ports++) % (LAST_PORT - FIRST_PORT + 1));
  const server = createServer();
  const free = await new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (!free) return freePort();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

export function temporaryDirectory() {
  const path = mkdtempSync(join(tmpdir(), 'cf-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A child process whose output goes to a file that is shown when something fails. */
class Process {
  constructor(bin, args, log) {
    assert.ok(existsSync(bin), `${bin} is not there`);
    this.log = log;
    const out = openSync(log, 'a');
    this.child = spawn(bin, args, { stdio: ['ignore', out, out], env: environment() });
    closeSync(out);
    this.ended = new Promise((resolve) => { this.child.once('exit', (code, signal) => resolve({ code, signal })); });
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  tail() {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8').slice(-2000) : '';
  }

  async ready(what, probe) {
    await until(what, async () => {
      assert.ok(this.running, `${what}: it ended\n${this.tail()}`);
      return probe().catch((error) => {
        if (['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE'].includes(error.code)) return false;
        throw error;
      });
    });
  }

  async end(signal) {
    if (this.running) this.child.kill(signal);
    return this.ended;
  }
}

/** Runs a program to its end, which must come within two minutes. */
export function run(bin, args, input = '', variables = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(bin, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...environment(), ...variables }, timeout: 120_000 });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on(
      'data', (text) => { texts[name] += text; },
    );
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...texts }));
    child.stdin.on('error', () => {}).end(input);
  });
}

/**
 * counterfoil-server with a database of its own. `via` is an origin (of a proxy, say) under which it is known;
 * `settings` is its file, or makes it of the server that is about to start; `wrapper` is what its command begins with.
 */
export class Server {
  static async start({ via, settings = '', wrapper = [] } = {}) {
    const server = new Server();
    server.wrapper = wrapper;
    server.directory = temporaryDirectory();
    server.port = await freePort();
    server.address = `http://127.0.0.1:${server.port}`;
    server.issuer = via ?? server.address;
    server.config = join(server.directory.path, 'server.toml');
    writeFileSync(server.config, typeof settings === 'function' ? settings(server) : settings);
    await server.launch();
    return server;
  }

  get dataDir() {
    return join(this.directory.path, 'data');
  }

  get audience() {
    return `${this.issuer}/api/partner/v1`;
  }

  async launch() {
    const args = [
      'serve', '--config', this.config, '--data-dir', this.dataDir, '--listen', `127.0.0.1:${this.port}`, '--issuer',
      this.issuer,
    ];
    const [bin, ...rest] = [...this.wrapper, SERVER_BIN, ...args];
    this.process = new Process(bin, rest, join(this.directory.path, 'server.log'));
    await this.process.ready('counterfoil-server', async () => (await send(`${this.address}/healthz`)).status === 200);
  }

  /** Runs an operator command beside the running server and answers its JSON. */
  async operator(args, input) {
    const { code, stdout, stderr } = await run(SERVER_BIN, ['--data-dir', this.dataDir, ...args, '--json'], input);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}${stdout}`);
    return stdout.trim() === '' ? {} : JSON.parse(stdout);
  }

  async company(name) {
    return this.operator(['company', 'add', name]);
  }

  /** A person with a password, administrator of the companies named. */
  async person(email, ...companies) {
    const password = `correct horse ${email} battery`;
    for (const company of companies) {
      await this.operator(
        ['user', 'add', '--email', email, '--company', company, '--role', 'admin', '--password-stdin'], `${password}\n`,
      );
    }
    return { email, password };
  }

  async app(name, company, { redirectUris = [], scopes = [], flags = [] }) {
    const repeated = (flag, values) => values.flatMap((value) => [flag, value]);
    return this.operator([
      'app', 'add', '--name', name, '--company', company, ...repeated('--redirect-uri', redirectUris),
      ...repeated('--scope', scopes), ...flags,
    ]);
  }

  async kill() {
    await this.process.end('SIGKILL');
  }

  async restart() {
    await this.kill();
    await this.launch();
  }

  async stop() {
    const { code, signal } = await this.process.end('SIGTERM');
    const log = this.process.tail();
    this.directory.remove();
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `counterfoil-server did not end well\n${log}`);
  }
}

/** counterfoild for one store, spoken to over its socket. */
export class Daemon {
  /** `as` is a user of its own to run under, `{ user, groups }` in numbers; root alone can make it so. `more` ends the file. */
  static async start(store, { socket = {}, as, more = '' } = {}) {
    const daemon = new Daemon();
    daemon.as = as;
    daemon.directory = temporaryDirectory();
    if (as) {
      chownSync(daemon.directory.path, as.user, as.user);
      chmodSync(daemon.directory.path, 0o755);
    }
    daemon.socket = join(daemon.directory.path, 'api.sock');
    daemon.config = join(daemon.directory.path, 'store.toml');
    const flat = Object.entries(store).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`).join('');
    const local = Object.entries({
      socket: daemon.socket, ...socket,
    }).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`).join('');
    writeFileSync(daemon.config, `${flat}\n[local]\n${local}\n${more}`);
    await daemon.launch();
    return daemon;
  }

  get stateDir() {
    return join(this.directory.path, 'state');
  }

  async launch() {
    const args = ['run', '--config', this.config, '--state-dir', this.stateDir, '--socket', this.socket];
    const log = join(this.directory.path, 'daemon.log');
    if (this.as) {
      const { user, groups } = this.as;
      const become = [`--reuid=${user}`, `--regid=${user}`, `--groups=${groups.join(',')}`, '--', DAEMON_BIN];
      this.process = new Process('/usr/bin/setpriv', [...become, ...args], log);
    } else {
      this.process = new Process(DAEMON_BIN, args, log);
    }
    await this.process.ready('counterfoild', async () => (await this.local('GET', '/v1/status')).status === 200);
  }

  /** One call of the local API, as a plugin makes it. */
  local(method, path, { json, headers, ...rest } = {}) {
    return send(`http://localhost${path}`, {
      method, json, socketPath: this.socket, ...rest,
      headers: { host: 'localhost', 'counterfoil-client': 'test/1', ...headers },
    });
  }

  async status() {
    return (await this.local('GET', '/v1/status')).json;
  }

  async kill() {
    await this.process.end('SIGKILL');
  }

  async restart() {
    await this.kill();
    await this.launch();
  }

  async stop() {
    const { code, signal } = await this.process.end('SIGTERM');
    const log = this.process.tail();
    this.directory.remove();
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `counterfoild did not end well\n${log}`);
  }
}
