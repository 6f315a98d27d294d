// The daemon's local API as functions.
import { CallRefused, PlatformRefused, VersionMismatch, problem } from './errors.mjs';
import { siteHeader } from './site.mjs';
import { doorOf, exchange } from './transport.mjs';

/** The oldest daemon that this client speaks to, and the first that it does not. */
const OLDEST = [0, 1, 0];
const TOO_NEW = [1, 0, 0];

const SECONDS = { status: 10, own: 30, forwarded: 60 };
const PLUGIN = /^[A-Za-z0-9._+-]{1,64}\/[A-Za-z0-9._+-]{1,64}$/;
const IDEMPOTENCY_KEY = /^[A-Za-z0-9._~:+/=-]{8,200}$/;

const isJson = (type) => /^application\/(?:[a-z.+-]+\+)?json\s*(?:;|$)/i.test(type ?? '');
const isProblem = (type) => /^application\/problem\+json\s*(?:;|$)/i.test(type ?? '');

function parse({ headers, body }) {
  if (!isJson(headers['content-type'])) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function retryAfter({ headers }) {
  const seconds = Number(headers['retry-after']);
  return Number.isInteger(seconds) && seconds >= 0 ? seconds : null;
}

/** A wrong argument, told before anything is sent. */
const wrong = (message) => new CallRefused({ code: 'argument', message });

/** A plugin's way to the daemon. Keeps nothing but where the daemon is and who calls. */
export class Client {
  #door;
  #plugin;
  #site;

  /**
   * @param {object} options
   * @param {string} options.plugin the plugin's name and version: `my-plugin/1.0`
   * @param {string} [options.socket] the daemon's socket
   * @param {string} [options.tcp] instead of it, the loopback port: `127.0.0.1:8787`
   * @param {string} [options.tokenFile] with `tcp`, the file with this plugin's token
   * @param {{home: string, blog?: number, path: string}} [options.site] which site calls
   */
  constructor({ plugin, site, ...door }) {
    if (!PLUGIN.test(plugin ?? '')) throw wrong('plugin is a name and a version: my-plugin/1.0');
    this.#door = doorOf(door);
    this.#plugin = plugin;
    this.#site = site === undefined ? undefined : siteHeader(site);
  }

  /** How the connection is. Nothing leaves the machine for it. */
  status() {
    return this.#own('GET', '/v1/status', undefined, SECONDS.status);
  }

  /** Whether this daemon and this client go together, by the `status` that you have or a new one; answers the daemon's version. */
  async handshake(status) {
    const { version } = status ?? await this.status();
    const parts = /^(\d+)\.(\d+)\.(\d+)/.exec(String(version))?.slice(1).map(Number);
    const before = (a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
    if (parts && before(parts, OLDEST) >= 0 && before(parts, TOO_NEW) < 0) return version;
    const wanted = `${OLDEST.join('.')} or newer, before ${TOO_NEW.join('.')}`;
    throw new VersionMismatch({
      code: 'daemon_version',
      message: `The daemon is of version ${version ?? 'unknown'}; this plugin needs ${wanted}.`,
      nextStep: 'Update the daemon, or the plugin.',
    });
  }

  /**
   * Begins an attempt to connect; answers `{authorization_url, expires_at}`: send the merchant's browser there.
   * `bind` is a value of this person and session, hard to guess; `callback` must be given the same.
   */
  connect({ bind, scopes } = {}) {
    return this.#own('POST', '/v1/connect', { bind, scopes });
  }

  /** Finishes it: `query` is everything behind the `?` of the callback, as it came. Answers the connection. */
  callback({ query, bind }) {
    return this.#own('POST', '/v1/callback', { query, bind });
  }

  /** Ends the connection, at the platform first; with `forget` on this side alone. `pending` until it is confirmed. */
  async disconnect({ forget } = {}) {
    const { status, json } = await this.#call('POST', '/v1/disconnect', { json: { forget }, seconds: SECONDS.own });
    return { ...json, pending: status === 202 };
  }

  /**
   * A call to the platform's API: `path` below its base. Answers `{status, headers, body, json}` of a success; an answer
   * of 400 and above is thrown as PlatformRefused. Send an `idempotencyKey` with whatever creates something.
   */
  async request(method, path, { query, json, body, headers, idempotencyKey, seconds = SECONDS.forwarded, signal } = {}) {
    if (idempotencyKey !== undefined && !IDEMPOTENCY_KEY.test(idempotencyKey)) {
      throw wrong('an idempotencyKey is 8 to 200 letters, digits and ._~:+/=-');
    }
    const search = new URLSearchParams(query).toString();
    const answer = await this.#call(method, `/v1/api/${path}${search && '?'}${search}`, {
      json,
      body,
      headers: { ...headers, ...(idempotencyKey && { 'idempotency-key': idempotencyKey }) },
      seconds,
      signal,
    });
    if (answer.status >= 400) throw new PlatformRefused(answer);
    return answer;
  }

  /** The two headers of one request to the platform that you send yourself; off unless the host switched it on. */
  proof({ method, url }) {
    return this.#own('POST', '/v1/proofs', { method, url });
  }

  /** The answer, `{proof}`, to a challenge that came to the store's own address: whose store it is. */
  ownership(nonce, clientId) {
    return this.#own('POST', '/v1/ownership', { nonce, client_id: clientId }, SECONDS.status);
  }

  /**
   * Whether a notification is the platform's, and not one that was taken before. `headers` as they came, `body` the raw
   * bytes. Answers `{event, type, delivery_id, …}`; what is not taken is thrown, with the `status` for its sender.
   */
  verifyWebhook({ headers, body }) {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
    return this.#own('POST', '/v1/webhooks/verify', { headers, body_base64: bytes.toString('base64') });
  }

  async #own(method, path, json, seconds = SECONDS.own) {
    const answer = await this.#call(method, path, { json, seconds });
    if (answer.status < 400 && answer.json) return answer.json;
    throw problem(answer.status, answer.json, retryAfter(answer));
  }

  async #call(method, path, { json, body, headers, seconds, signal }) {
    const text = json === undefined ? body : JSON.stringify(json);
    const answer = await exchange(this.#door, this.#plugin, {
      method,
      path,
      seconds,
      signal,
      body: text,
      headers: {
        accept: 'application/json',
        ...headers,
        ...(this.#site && { 'counterfoil-site': this.#site }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...(text !== undefined && { 'content-length': Buffer.byteLength(text) }),
      },
    });
    const read = { ...answer, json: parse(answer) };
    // The daemon's own word on any route; everything else that a forwarded call answers is the platform's.
    if (isProblem(answer.headers['content-type'])) throw problem(answer.status, read.json, retryAfter(answer));
    return read;
  }
}
