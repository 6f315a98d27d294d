// The partner API below /api/partner/v1/makepay.
import { randomUUID } from 'node:crypto';
import { Refusal, random, sha256 } from './proofs.mjs';

const KEY_SHAPE = /^[A-Za-z0-9._~:+/=-]{8,200}$/;
const API_KEY_HEADERS = [
  'x-makecrypto-key-id', 'x-makecrypto-key-secret', 'x-makepay-key-id', 'x-makepay-key-secret', 'x-api-key',
  'x-api-secret',
];
const RECEIPT_LIFE = 600;

export class PartnerApi {
  #links = new Map();
  #receipts = new Map();
  #secrets = new Map();

  constructor(world) {
    this.world = world;
  }

  /** Checks token, proof and scope, then lets `handle(request, access)` answer. */
  guarded(request, scope, handle) {
    if (API_KEY_HEADERS.some((name) => name in request.headers)) throw new Refusal(400, 'mixed_authentication');
    const token = request.accessToken();
    if (!token) throw new Refusal(401, 'A DPoP access token is required.');
    const jkt = this.world.proofs.judge(request.dpop, {
      method: request.method, path: request.path, accessToken: token, status: 401,
    });
    const access = this.world.tokens.access(token, jkt);
    if (!access.installation.rules.scopes.includes(scope)) throw new Refusal(403, 'insufficient_scope');
    return handle.call(this, request, access);
  }

  /** Gives the first answer again to the same key for the same method, path and body. */
  #once(request, access, life, produce) {
    const key = request.headers['idempotency-key'];
    if (key === undefined) return produce();
    if (!KEY_SHAPE.test(key)) throw new Refusal(400, 'invalid_idempotency_key');
    const id = `${access.grant.id} ${key}`;
    const fingerprint = sha256(`${request.method} ${request.path} ${request.text}`);
    const receipt = this.#receipts.get(id);
    if (!receipt) {
      const answer = produce();
      this.#receipts.set(id, { fingerprint, jkt: access.jkt, text: JSON.stringify(answer.json), at: this.world.now() });
      return answer;
    }
    if (receipt.jkt !== access.jkt) throw new Refusal(409, 'idempotency_key_dpop_mismatch');
    if (receipt.fingerprint !== fingerprint) throw new Refusal(409, 'idempotency_key_conflict');
    if (this.world.now() - receipt.at > life) throw new Refusal(409, 'idempotency_receipt_expired');
    return { status: 200, text: receipt.text, headers: { 'idempotent-replayed': 'true' } };
  }

  createLink(request, access) {
    const body = request.json();
    const { payload } = body;
    if (payload?.amount === undefined) throw new Refusal(400, 'invalid_payment_link');
    if (access.installation.rules.needsSubscription && !access.grant.subscription?.active) {
      throw new Refusal(409, 'webhook_subscription_inactive');
    }
    return this.#once(request, access, Infinity, () => {
      const uid = `pl_${random(12)}`;
      const link = {
        id: randomUUID(), uid, publicUrl: `${this.world.origin}/payment/${uid}`, status: body.status ?? 'active',
        amount: payload.amount, fiatAmount: payload.amount, fiatCurrency: payload.fiatCurrency ?? null,
        currency: payload.currency ?? null, metadata: payload.metadata ?? {}, payload,
        latestSession: null, timelineEvents: [],
      };
      this.#links.set(uid, { link, grant: access.grant });
      return {
        status: 201,
        json: {
          companyId: access.grant.companyId, ok: true, paymentLink: link,
          paymentRequestEmailSent: false, paymentRequestEmailError: null,
        },
      };
    });
  }

  listLinks(request, { grant }) {
    const limit = Number(request.query.get('limit') ?? 50);
    const own = [...this.#links.values()].filter((entry) => entry.grant === grant);
    return {
      status: 200, json: { companyId: grant.companyId, paymentLinks: own.map(({ link }) => link).slice(0, limit) },
    };
  }

  #own(request, grant) {
    const entry = this.#links.get(request.path.split('/').pop());
    if (entry?.grant !== grant) throw new Refusal(404, 'payment_link_not_found');
    return entry.link;
  }

  readLink(request, { grant }) {
    return { status: 200, json: { companyId: grant.companyId, paymentLink: this.#own(request, grant) } };
  }

  archiveLink(request, { grant }) {
    const link = this.#own(request, grant);
    if (request.json().status !== 'archived') throw new Refusal(400, 'invalid_payment_link');
    if (link.status === 'archived') return { status: 409, json: { errorCode: 'payment_link_already_archived' } };
    link.status = 'archived';
    return {
      status: 200,
      json: {
        companyId: grant.companyId, archiveEligibility: 'no_session', archivedWithNoSession: true,
        latestSession: null, sessionCreationClaimed: false, paymentLink: link,
      },
    };
  }

  readSubscription(_request, { grant }) {
    return { status: 200, json: { companyId: grant.companyId, subscription: grant.subscription } };
  }

  putSubscription(request, access) {
    const { grant } = access;
    const { active = true, description = '', events, metadata = {}, url } = request.json();
    if (!Array.isArray(events) || typeof url !== 'string') throw new Refusal(400, 'invalid_webhook_subscription');
    return this.#once(request, access, RECEIPT_LIFE, () => {
      const created = grant.subscription === null;
      const secret = `whsec_${random()}`;
      grant.subscription = {
        id: grant.subscription?.id ?? `mpwhsub_${random(12)}`, url, events, active, description, metadata,
        status: active ? 'active' : 'disabled', secretLast4: secret.slice(-4),
      };
      return {
        status: created ? 201 : 200,
        json: {
          companyId: grant.companyId, ok: true, created, rotated: !created, signingSecret: secret,
          subscription: { ...grant.subscription },
        },
      };
    });
  }

  deleteSubscription(_request, { grant }) {
    if (grant.subscription) Object.assign(grant.subscription, { active: false, status: 'disabled' });
    return {
      status: 200,
      json: {
        companyId: grant.companyId, ok: true, historicalDeliveryPreserved: true, signingSecretChanged: false,
        subscription: grant.subscription,
      },
    };
  }

  rotateSecret(_request, { installation, grant }) {
    const secret = `whsec_${random()}`;
    this.#secrets.set(installation.clientId, secret);
    return { status: 200, json: { companyId: grant.companyId, webhookSecret: { secret, last4: secret.slice(-4) } } };
  }

  branding(_request, { grant }) {
    return {
      status: 200,
      json: {
        companyId: grant.companyId, company: {
          id: grant.companyId, name: grant.companyName, routeKey: 'contract-company', slug: 'contract-company',
        },
        makePaySettings: { allowedPaymentMethods: ['BTC.BTC', 'ETH.ETH'] },
      },
    };
  }
}
