// Registration and reset of native installations.
import { randomUUID } from 'node:crypto';
import { Refusal, random, sha256 } from './proofs.mjs';

const LINKS_AND_HOOKS = [
  'company:read',
  'makepay:payment-links:read', 'makepay:payment-links:write',
  'makepay:webhooks:read', 'makepay:webhooks:write',
];

export const PLATFORMS = {
  medusa: {
    version: 'medusaVersion', versionRequired: true, strict: true, needsSubscription: true,
    keyShape: /^medusa-token-[A-Za-z0-9_-]{43}$/,
    scopes: LINKS_AND_HOOKS,
    callback: (site, uri) => uri === `${site}/makepay/oauth/callback`,
  },
  wordpress: {
    version: 'wordpressVersion', strict: true, pathAllowed: true,
    keyShape: /^wordpress-token-[A-Za-z0-9_-]{43}$/,
    scopes: LINKS_AND_HOOKS,
    callback: (site, uri) => uri === `${site}/wp-admin/admin-post.php?action=counterfoil_callback`,
  },
  'btcpay-server': {
    version: 'btcpayServerVersion', pathAllowed: true,
    keyShape: /^[A-Za-z0-9_-]{8,200}$/,
    scopes: [
      'company:read', 'makepay:payment-links:read', 'makepay:payment-links:write',
      'makepay:settings:read', 'makepay:settings:write',
    ],
    callback: (site, uri) => uri.startsWith(`${site}/plugins/`)
      && /^[A-Za-z0-9_-]+\/makepay\/oauth\/callback$/.test(uri.slice(`${site}/plugins/`.length)),
  },
};

function isSite(text, pathAllowed) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return false;
  }
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  const scheme = url.protocol === 'https:' || (url.protocol === 'http:' && loopback);
  return scheme && (text === url.origin
    || (pathAllowed && text === url.origin + url.pathname && !text.endsWith('/')));
}

function readBody({ platform, ...body }) {
  if (!platform) throw new Refusal(400, 'missing_platform');
  const rules = Object.hasOwn(PLATFORMS, platform) ? PLATFORMS[platform] : null;
  if (!rules) throw new Refusal(400, 'invalid_native_installation');
  const required = ['siteUrl', 'redirectUri', 'dpopJkt', 'pluginVersion'];
  if (rules.strict) required.unshift('registrationId');
  if (rules.versionRequired) required.push(rules.version);
  for (const field of required) {
    if (body[field] === undefined || body[field] === '') throw new Refusal(400, `missing_${field}`);
  }
  const texts = required.every((field) => typeof body[field] === 'string');
  const idFits = !rules.strict || /^[A-Za-z0-9_-]{43}$/.test(body.registrationId);
  if (!texts || !idFits || !isSite(
    body.siteUrl, rules.pathAllowed,
  ) || !rules.callback(body.siteUrl, body.redirectUri)) {
    throw new Refusal(400, 'invalid_native_installation');
  }
  const identity = rules.strict ? [platform, body.registrationId] : [platform, body.siteUrl, body.redirectUri];
  return { platform, rules, body, identity: JSON.stringify(identity) };
}

export class Installations {
  #byIdentity = new Map();
  #byClient = new Map();
  #resets = new Map();

  constructor(world) {
    this.world = world;
  }

  find(clientId) {
    return this.#byClient.get(clientId);
  }

  all() {
    return [...this.#byClient.values()];
  }

  register(request) {
    const path = '/oauth/native/installations';
    const jkt = this.world.proofs.judge(request.dpop, { method: 'POST', path });
    const { platform, rules, body, identity } = readBody(request.json());
    if (body.dpopJkt !== jkt) throw new Refusal(400, 'invalid_native_installation');
    const known = this.#byIdentity.get(identity);
    const answer = (installation, status, extra) => ({
      status,
      json: {
        client_id: installation.clientId, client_type: 'public', dpop_bound: true,
        ...(rules.strict && { registration_id: body.registrationId }),
        redirect_uri: installation.redirectUri, scopes: rules.scopes, ...extra,
      },
    });
    if (!known) {
      const installation = {
        clientId: `mco_app_${random(18)}`, platform, rules, identity, jkt, staged: null, reset: false,
        siteUrl: body.siteUrl, redirectUri: body.redirectUri, grant: null, history: [],
      };
      this.#byIdentity.set(identity, installation);
      this.#byClient.set(installation.clientId, installation);
      return answer(installation, 201, { status: 'active' });
    }
    if (known.siteUrl !== body.siteUrl) throw new Refusal(409, 'registration_identity_mismatch');
    if (known.reset) {
      Object.assign(known, { jkt, staged: null, reset: false });
    } else {
      this.#provePrevious(request, known, jkt, path);
      if (jkt !== known.jkt) known.staged = jkt;
    }
    return answer(known, 200);
  }

  #provePrevious(request, known, jkt, path) {
    if (!request.dpopPrevious) {
      if (!known.rules.strict && jkt === known.jkt) return;
      throw new Refusal(401, 'previous_dpop_required');
    }
    const previous = this.world.proofs.judge(request.dpopPrevious, { method: 'POST', path, name: 'DPoP-Previous' });
    if (previous !== known.jkt) throw new Refusal(401, 'invalid_previous_dpop_key');
  }

  reset(request) {
    const token = request.accessToken() ?? (() => { throw new Refusal(401, 'invalid_token'); })();
    const path = '/oauth/native/installations';
    const jkt = this.world.proofs.judge(request.dpop, { method: 'DELETE', path, accessToken: token, status: 401 });
    const key = request.headers['idempotency-key'] ?? '';
    if (!/^[A-Za-z0-9_-]{8,200}$/.test(key)) throw new Refusal(400, 'invalid_idempotency_key');
    const receipt = this.#resets.get(key);
    if (receipt) {
      if (receipt.token !== sha256(token) || receipt.jkt !== jkt) throw new Refusal(401, 'invalid_reset_receipt_proof');
      return { status: 200, text: receipt.text, headers: { 'idempotent-replayed': 'true' } };
    }
    const access = this.world.tokens.access(token, jkt);
    const installation = this.find(request.query.get('client_id'));
    if (!installation || access.installation !== installation) throw new Refusal(404, 'native_installation_not_found');
    const text = this.#wipe(installation);
    this.#resets.set(key, { token: sha256(token), jkt, text });
    return { status: 200, text };
  }

  #wipe(installation) {
    this.world.tokens.killAll(installation);
    const { grant } = installation;
    if (grant?.subscription) {
      Object.assign(grant.subscription, { active: false, status: 'disabled' });
      installation.history.push(grant.subscription.id);
    }
    Object.assign(installation, { grant: null, jkt: null, staged: null, reset: true });
    return JSON.stringify({
      client_id: installation.clientId, reset: true, resetMutationId: randomUUID(),
      historicalDeliveryPreserved: true, signingSecretChanged: false,
      preservedWebhookSubscriptionIds: [...installation.history].sort(),
    });
  }
}
