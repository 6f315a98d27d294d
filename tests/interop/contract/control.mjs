// What a test may do to the server: lose, hold, delay and spoil answers, demand nonces, move the clock, count.
import { random } from './proofs.mjs';

export class Faults {
  #rules = [];
  #holds = new Map();
  #counts = {};
  token = random(16);

  constructor(world) {
    this.world = world;
  }

  count(endpoint) {
    this.#counts[endpoint] = (this.#counts[endpoint] ?? 0) + 1;
  }

  /** The fault that the next answer of `endpoint` meets in `phase` (before or after its effect), if any. */
  take(endpoint, phase) {
    const rule = this.#rules.find((one) => one.endpoint === endpoint && one.phase === phase && one.count > 0);
    if (rule) rule.count -= 1;
    return rule;
  }

  /** Waits while `endpoint` is held in `phase`. */
  async pass(endpoint, phase) {
    const hold = this.#holds.get(endpoint);
    if (hold?.phase !== phase) return;
    hold.waiting += 1;
    await hold.open;
  }

  #hold({ endpoint, phase = 'after' }) {
    this.#release({ endpoint });
    const hold = { phase, waiting: 0 };
    hold.open = new Promise((resolve) => { hold.resolve = resolve; });
    this.#holds.set(endpoint, hold);
  }

  #release({ endpoint }) {
    this.#holds.get(endpoint)?.resolve();
    this.#holds.delete(endpoint);
  }

  #rule(kind, defaults) {
    return ({ endpoint, count = 1, ...rest }) => {
      this.#rules.push({ kind, endpoint, count, phase: 'after', ...defaults, ...rest });
    };
  }

  #commands = {
    'POST /__control/lose': this.#rule('lose', {}),
    'POST /__control/delay': this.#rule('delay', { ms: 100 }),
    'POST /__control/fail': this.#rule('fail', {
      phase: 'before', status: 503, body: '{"error":"temporarily_unavailable"}', contentType: 'application/json',
    }),
    'POST /__control/hold': (body) => this.#hold(body),
    'POST /__control/release': (body) => this.#release(body),
    'POST /__control/clear': () => {
      this.#rules = [];
      [...this.#holds.keys()].forEach((endpoint) => this.#release({ endpoint }));
    },
    'POST /__control/nonce': ({ required }) => { this.world.proofs.nonceRequired = required; },
    'POST /__control/clock': ({ shift }) => { this.world.shift = shift; },
    'POST /__control/token-lifetime': ({ seconds }) => { this.world.tokenLifetime = seconds; },
    'POST /__control/company': ({ id, name }) => { this.world.company = { id, name }; },
    'POST /__control/rotate-key': () => this.world.keys.rotate(),
    'POST /__control/revoke': ({ client_id: id }) => this.world.tokens.killAll(this.world.installations.find(id)),
    'POST /__control/counts/clear': () => { this.#counts = {}; },
    'GET /__control/counts': () => ({
      requests: this.#counts,
      waiting: Object.fromEntries([...this.#holds].map(([endpoint, hold]) => [endpoint, hold.waiting])),
    }),
    'GET /__control/installations': () => this.world.installations.all().map((one) => ({
      client_id: one.clientId, platform: one.platform, siteUrl: one.siteUrl, jkt: one.jkt, staged: one.staged,
      reset: one.reset, grant_id: one.grant?.id ?? null, subscription: one.grant?.subscription ?? null,
    })),
  };

  command(request) {
    if (request.headers['x-control'] !== this.token) return { status: 403, json: { error: 'control_token_required' } };
    const run = this.#commands[`${request.method} ${request.path}`];
    if (!run) return { status: 404, json: { error: 'not_found' } };
    return { status: 200, json: run(request.method === 'GET' ? {} : request.json()) ?? { ok: true } };
  }
}
