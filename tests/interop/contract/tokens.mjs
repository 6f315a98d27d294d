// Authorization, consent and the token endpoint.
import { randomUUID } from 'node:crypto';
import { Refusal, random, sha256 } from './proofs.mjs';

const DAY = 86_400;
const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

export class Tokens {
  #codes = new Map();
  #refresh = new Map();
  #access = new Map();
  #receipts = new Map();

  constructor(world) {
    this.world = world;
  }

  authorize({ query }) {
    const asked = Object.fromEntries(query);
    const installation = this.world.installations.find(asked.client_id);
    const { rules } = installation ?? {};
    const scopes = new Set((asked.scope ?? '').split(' '));
    const fits = installation && !installation.reset
      && [...query.keys()].length === new Set(query.keys()).size
      && asked.response_type === 'code' && asked.redirect_uri === installation.redirectUri
      && asked.code_challenge_method === 'S256' && /^[A-Za-z0-9_-]{43}$/.test(asked.code_challenge ?? '')
      && [installation.jkt, installation.staged].includes(asked.dpop_jkt)
      && asked.state && scopes.size === rules.scopes.length && rules.scopes.every((scope) => scopes.has(scope))
      && (asked.resource === this.world.audience || (asked.resource === undefined && !rules.strict));
    if (!fits) throw new Refusal(400, 'invalid_authorization_request');
    if (asked.decision === undefined) return this.#consent(asked, installation);
    const answer = asked.decision === 'approve'
      ? { code: this.#approve(installation, asked) }
      : { error: 'access_denied' };
    const parameters = new URLSearchParams({ ...answer, state: asked.state, iss: this.world.origin });
    const separator = asked.redirect_uri.includes('?') ? '&' : '?';
    return { status: 302, headers: { Location: `${asked.redirect_uri}${separator}${parameters}` } };
  }

  #consent(asked, installation) {
    const hidden = Object.entries(asked)
      .map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`).join('');
    return {
      status: 200,
      html: `<!doctype html><title>Connect</title><p>${escape(installation.siteUrl)} asks for ${escape(asked.scope)}`
        + ` in ${escape(this.world.company.name)}</p><form method="get" action="/oauth/authorize">${hidden}`
        + '<button name="decision" value="approve">Approve</button>'
        + '<button name="decision" value="deny">Deny</button></form>',
    };
  }

  #approve(installation, asked) {
    if (asked.dpop_jkt === installation.staged) {
      this.killAll(installation);
      Object.assign(installation, { jkt: installation.staged, staged: null });
    }
    const { company } = this.world;
    if (installation.grant?.companyId !== company.id) {
      installation.grant = {
        id: `grant_${random(12)}`, companyId: company.id, companyName: company.name, subscription: null,
      };
    }
    const code = `mco_code_${random()}`;
    this.#codes.set(sha256(code), {
      installation, grant: installation.grant, jkt: asked.dpop_jkt, challenge: asked.code_challenge,
      redirectUri: asked.redirect_uri, expires: this.world.now() + 60, used: false, dead: false, family: null,
    });
    return code;
  }

  token(request) {
    const jkt = this.world.proofs.judge(request.dpop, { method: 'POST', path: '/oauth/token' });
    const form = request.form();
    const installation = this.world.installations.find(form.client_id);
    if (!installation) throw new Refusal(401, 'invalid_client');
    const { rules } = installation;
    const key = request.headers['idempotency-key'];
    if (key === undefined ? rules.strict : !rules.keyShape.test(key)) throw new Refusal(400, 'invalid_idempotency_key');
    const resourceFits = form.resource === undefined ? !rules.strict : form.resource === this.world.audience;
    if (!resourceFits) throw new Refusal(400, 'invalid_target');
    const redeem = {
      authorization_code: () => this.#redeemCode(form), refresh_token: () => this.#redeemRefresh(form),
    }[form.grant_type];
    if (!redeem) throw new Refusal(400, 'unsupported_grant_type');
    const credential = form.grant_type === 'authorization_code' ? form.code : form.refresh_token;
    if (!credential) throw new Refusal(400, 'invalid_request');

    const entry = (form.grant_type === 'authorization_code' ? this.#codes : this.#refresh).get(sha256(credential));
    if (!entry || entry.installation !== installation) throw new Refusal(400, 'invalid_grant');
    if (entry.jkt !== jkt) throw new Refusal(400, 'invalid_dpop_key');
    if (entry.dead || entry.family?.dead) throw new Refusal(400, 'invalid_grant');
    const receiptId = `${form.grant_type}.${sha256(credential)}`;
    const receipt = this.#receipts.get(receiptId);
    if (receipt && receipt.key === key) return this.#replay(receipt);
    if (entry.used) {
      if (entry.family) entry.family.dead = true;
      throw new Refusal(400, 'invalid_grant');
    }
    const family = redeem();
    entry.used = true;
    entry.family = family;
    const text = this.#issue(installation, family, jkt);
    if (key !== undefined) {
      const successor = this.#refresh.get(sha256(JSON.parse(text).refresh_token));
      this.#receipts.set(receiptId, {
        key, text, successor, expires: this.world.now() + DAY, bounded: form.grant_type === 'authorization_code',
      });
    }
    return { status: 200, text };
  }

  #replay({ text, successor, expires, bounded }) {
    if (successor.used || (bounded && expires < this.world.now())) {
      throw new Refusal(400, 'invalid_grant', { 'oauth-token-recovery': 'expired' });
    }
    return { status: 200, text, headers: { 'idempotent-replayed': 'true' } };
  }

  #redeemCode(form) {
    const code = this.#codes.get(sha256(form.code));
    const proven = form.redirect_uri === code.redirectUri && sha256(form.code_verifier ?? '') === code.challenge;
    if (!proven || code.expires < this.world.now()) throw new Refusal(400, 'invalid_grant');
    this.#killFamilies(code.installation);
    return { grant: code.grant, dead: false };
  }

  #redeemRefresh(form) {
    return this.#refresh.get(sha256(form.refresh_token)).family;
  }

  #issue(installation, family, jkt) {
    const { world } = this;
    const scope = installation.rules.scopes.join(' ');
    const iat = world.now();
    const accessToken = world.keys.sign({
      iss: world.origin, aud: world.audience, sub: 'user_contract', client_id: installation.clientId, scope,
      iat, nbf: iat, exp: iat + world.tokenLifetime, jti: randomUUID(), cnf: { jkt },
      company_id: family.grant.companyId, company_name: family.grant.companyName,
      grant_id: family.grant.id, installation_id: installation.clientId,
    });
    const refreshToken = `mco_rt_${random()}`;
    this.#access.set(sha256(accessToken), {
      installation, family, jkt, grant: family.grant, expires: iat + world.tokenLifetime,
    });
    this.#refresh.set(sha256(refreshToken), { installation, family, jkt, used: false, dead: false });
    return JSON.stringify({
      access_token: accessToken, token_type: 'DPoP', expires_in: world.tokenLifetime, refresh_token: refreshToken,
      scope,
    });
  }

  /** What a living access token stands for; everything else is 401. */
  access(token, jkt) {
    const entry = this.#access.get(sha256(token));
    const alive = entry && !entry.family.dead && entry.jkt === jkt && entry.expires > this.world.now();
    if (!alive) throw new Refusal(401, 'invalid_token');
    return entry;
  }

  killAll(installation) {
    for (const code of this.#codes.values()) if (code.installation === installation) code.dead = true;
    this.#killFamilies(installation);
  }

  #killFamilies(installation) {
    for (const token of this.#refresh.values()) if (token.installation === installation) token.family.dead = true;
  }
}
