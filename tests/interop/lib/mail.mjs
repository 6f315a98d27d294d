// A mail server nobody here wrote, with a certificate of an authority made for the day, and an outbox read back.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort, temporaryDirectory, until } from './processes.mjs';

const SCRIPT = fileURLToPath(new URL('./mail-server.py', import.meta.url));
// Debian's own: aiosmtpd is its package.
const PYTHON = '/usr/bin/python3';

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** An authority and a certificate for 127.0.0.1: files in `directory`. */
export function certificate(directory) {
  const at = (name) => join(directory, name);
  writeFileSync(at('leaf.cnf'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n');
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
    '/CN=Mail authority', '-addext', 'keyUsage=keyCertSign', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=mail', '-keyout',
    at('leaf.key'), '-out', at('leaf.csr'));
  openssl('x509', '-req', '-in', at('leaf.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days',
    '2', '-extfile', at('leaf.cnf'), '-out', at('leaf.pem'));
  return { authority: at('ca.pem'), chain: at('leaf.pem'), key: at('leaf.key') };
}

/** A mail server on a free port; `secured` is {chain, key, user, password}. */
export class MailServer {
  static async start(mode, secured, port) {
    const server = new MailServer();
    server.directory = temporaryDirectory();
    server.file = join(server.directory.path, 'letters');
    server.port = port ?? await freePort();
    const { chain, key, user, password } = secured ?? {};
    const args = [SCRIPT, server.port, server.file, mode, ...(secured ? [chain, key, user, password] : [])];
    server.child = spawn(PYTHON, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    server.ended = new Promise((resolve) => { server.child.once('exit', resolve); });
    await new Promise((resolve, reject) => {
      server.child.stdout.once('data', resolve);
      server.child.once('exit', () => reject(new Error('the mail server ended: is aiosmtpd installed? (scripts/setup)')));
    });
    return server;
  }

  /** Everything that happened there, in order. */
  get notes() {
    if (!existsSync(this.file)) return [];
    const whole = readFileSync(this.file, 'utf8').split('\n').slice(0, -1);
    return whole.map((line) => JSON.parse(line));
  }

  letters(to) {
    return this.notes.filter((note) => note.to?.includes(to));
  }

  /** The first letter to somebody. */
  async letter(to) {
    return until(`a letter to ${to}`, () => this.letters(to)[0]);
  }

  async stop() {
    this.child.kill('SIGTERM');
    await this.ended;
    this.directory.remove();
  }
}

/** The text of a file; nothing when it has gone since it was listed. */
function textOf(path) {
  try {
    return [readFileSync(path, 'utf8')];
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Quoted-printable undone where a letter has it, as far as links are concerned. */
function decoded(text) {
  if (!text.includes('\r\nContent-Transfer-Encoding: quoted-printable\r\n')) return text;
  return text.replaceAll('=\r\n', '').replaceAll('=3D', '=');
}

/** The letters in a server's outbox, without a mail server: texts, oldest first. */
export function outbox(server, below = '') {
  const directory = join(server.dataDir, 'outbox', below);
  return readdirSync(directory).filter((name) => name.endsWith('.eml')).sort()
    .flatMap((name) => textOf(join(directory, name)))
    .map(decoded);
}

/** The newest letter to somebody in the outbox. */
export async function outboxLetter(server, to, word = '') {
  return until(`a letter to ${to}`, () => outbox(server).findLast((text) => text.includes(`To: ${to}\r\n`) && text.includes(word)));
}

/** The link in a letter. */
export function linkIn(text) {
  const [link] = /https?:\/\/\S+/.exec(text) ?? [];
  assert.ok(link, text);
  return link;
}
