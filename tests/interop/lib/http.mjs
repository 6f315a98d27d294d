// Requests as they are written, one connection each: nothing normalised, nothing followed, headers may be doubled.
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';

/** How long a connection may be silent: longer than a busy machine takes. */
const LIMIT_MS = 60_000;

class Answer {
  constructor(message, body) {
    this.status = message.statusCode;
    this.headers = message.headers;
    this.rawHeaders = message.rawHeaders;
    this.body = body;
    this.text = body.toString('utf8');
  }

  get json() {
    return JSON.parse(this.text);
  }

  get location() {
    return this.headers.location;
  }
}

let witness;

/** Tells `hear` of every request and its answer from now on. */
export function overhear(hear) {
  witness = hear;
}

/**
 * Sends one request. `form` is a record, pairs or a ready string, `json` any value, `body` bytes; `target` replaces
 * the path in the request line; `socketPath` goes over a unix socket.
 */
export function send(url, { method, headers = {}, form, json, body, target, socketPath, signal } = {}) {
  const { hostname, port, pathname, search } = new URL(url);
  const sent = { ...headers };
  let content = body;
  if (form !== undefined) {
    content = typeof form === 'string' ? form : new URLSearchParams(form).toString();
    sent['content-type'] ??= 'application/x-www-form-urlencoded';
  } else if (json !== undefined) {
    content = JSON.stringify(json);
    sent['content-type'] ??= 'application/json';
  }
  for (const name of Object.keys(sent)) if (sent[name] === undefined) delete sent[name];
  if (content !== undefined && !('transfer-encoding' in sent)) sent['content-length'] ??= Buffer.byteLength(content);
  const where = socketPath ? { socketPath } : { host: hostname.replace(/^\[|\]$/g, ''), port };
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      ...where, path: target ?? `${pathname}${search}`, method: method ?? (content === undefined ? 'GET' : 'POST'),
      headers: sent, agent: false, timeout: LIMIT_MS, signal,
    });
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer from ${url} in time`)));
    // A server may refuse a body that it has not read; its answer is then still in the socket.
    outgoing.on('error', reject);
    outgoing.once('response', (message) => {
      const chunks = [];
      message.on('data', (chunk) => chunks.push(chunk));
      message.once('end', () => {
        const answer = new Answer(message, Buffer.concat(chunks));
        witness?.({ url, headers: sent, content }, answer);
        resolve(answer);
      });
      message.once('error', reject);
    });
    outgoing.end(content);
  });
}

/** Sends bytes and reads until the server closes: for requests that no client library would write. */
export function sendRaw(origin, text) {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect(port, hostname);
    const chunks = [];
    socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('no answer in time')));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.once(
      'error',
      (error) => (chunks.length > 0 ? resolve(Buffer.concat(chunks).toString('latin1')) : reject(error)),
    );
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.write(text);
  });
}

/** A connection over which several things are said, each after the answer to the one before. */
export class Talk {
  #said = '';
  #changed = () => {};

  static async with(origin) {
    const talk = new Talk();
    const { hostname, port } = new URL(origin);
    talk.socket = connect(port, hostname).setEncoding('latin1');
    talk.socket.setTimeout(LIMIT_MS, () => talk.socket.destroy(new Error('no answer in time')));
    talk.socket.on('data', (text) => {
      talk.#said += text;
      talk.#changed();
    });
    // A server that ends a connection may still be sent something.
    talk.socket.on('error', (error) => { talk.failure = error; });
    talk.socket.on('close', () => talk.#changed());
    await new Promise((resolve) => { talk.socket.once('connect', resolve).once('close', resolve); });
    return talk;
  }

  /** Waits until something was said, or the connection has ended. */
  #change() {
    return new Promise((resolve) => { this.#changed = resolve; });
  }

  write(text) {
    this.socket.write(text, 'latin1');
  }

  /** Says that nothing more comes. */
  end() {
    this.socket.end();
  }

  /** Waits until what came since the last time is this, and takes it. */
  async heard(pattern) {
    for (;;) {
      const { 0: match } = pattern.exec(this.#said) ?? [];
      if (match !== undefined) {
        this.#said = this.#said.slice(match.length);
        return match;
      }
      assert.ok(!this.socket.closed, `the connection ended ${this.failure ?? ''} after: ${this.#said}`);
      await this.#change();
    }
  }

  /** Waits until the server has ended the connection; answers what came last. */
  async ended() {
    while (!this.socket.closed) await this.#change();
    if (this.failure && !['ECONNRESET', 'EPIPE'].includes(this.failure.code)) throw this.failure;
    return this.#said;
  }
}

/** The `Authorization` header of a client that has a secret (RFC 6749 §2.3.1). */
export const basic = (id, secret) => ({ authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` });

const oneOf = (wanted) => (Array.isArray(wanted) ? wanted : [wanted]);

/** Asserts that `answer` is exactly this refusal: status, JSON, and a code (never a sentence) in `error`. */
export function refused(answer, status, error, note = '') {
  const seen = `${note} got ${answer.status} ${answer.text.slice(0, 300)}`;
  assert.ok(oneOf(status).includes(answer.status), `expected ${status}: ${seen}`);
  assert.match(answer.headers['content-type'] ?? '', /^application\/json\b/, seen);
  assert.ok(oneOf(error).includes(answer.json.error), `expected ${error}: ${seen}`);
  assert.match(answer.json.error, /^[A-Za-z0-9_]+$/, seen);
}

/** Asserts that `answer` is an HTML page of the server's own with status 400 that sends the browser nowhere. */
export function refusedInPlace(answer, note = '') {
  const seen = `${note} got ${answer.status} ${answer.location ?? ''} ${answer.text.slice(0, 200)}`;
  assert.equal(answer.status, 400, seen);
  assert.equal(answer.location, undefined, seen);
  assert.match(answer.headers['content-type'] ?? '', /^text\/html\b/, seen);
}

/** Asserts status 200 (or the one given) and answers the JSON. */
export function ok(answer, status = 200, note = '') {
  assert.equal(answer.status, status, `${note} ${answer.text.slice(0, 500)}`);
  return answer.json;
}

/** Asserts a challenge of the DPoP scheme (RFC 9449 §7.1), with the error code if one is expected. */
export function challenged(answer, error, note = '') {
  assert.equal(answer.status, 401, `${note} ${answer.text.slice(0, 300)}`);
  const challenge = answer.headers['www-authenticate'] ?? '';
  const seen = `${note} got ${challenge}`;
  assert.match(challenge, /\bDPoP\b/, seen);
  if (error === undefined) assert.doesNotMatch(challenge, /\berror=/, seen);
  else assert.match(challenge, new RegExp(`\\berror="(?:${oneOf(error).join('|')})"`), seen);
}
