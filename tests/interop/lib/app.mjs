// A partner application as a developer would write one: registered by the operator, public or with a secret.
import { pkce, random } from './dpop.mjs';
import { basic, send } from './http.mjs';

export const CALLBACK = 'https://app.example/cb';
export const SCOPES = ['company:read', 'makepay:payment-links:read'];

const present = (record) => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));

export class App {
  static async register(server, {
    name = 'Ledger', company = 'Nordwind Trading', redirectUris = [CALLBACK], scopes = SCOPES, flags = [],
  } = {}) {
    const { client_id: id, client_secret: secret } = await server.app(name, company, { redirectUris, scopes, flags });
    return Object.assign(new App(), { issuer: server.issuer, id, secret, redirectUri: redirectUris[0], scopes });
  }

  at(path) {
    return `${this.issuer}${path}`;
  }

  /** The headers by which it proves itself: none for a public one. */
  get credentials() {
    return this.secret ? basic(this.id, this.secret) : {};
  }

  /** A good authorization request, changed. */
  request(changes = {}) {
    const { verifier, challenge } = pkce();
    const parameters = present({
      response_type: 'code', client_id: this.id, redirect_uri: this.redirectUri, scope: this.scopes.join(' '),
      state: random(), code_challenge: challenge, code_challenge_method: 'S256', ...changes,
    });
    return { parameters, verifier, url: this.url(parameters) };
  }

  url(parameters) {
    return `${this.at('/oauth/authorize')}?${new URLSearchParams(parameters)}`;
  }

  push(form, headers = {}) {
    return send(this.at('/oauth/par'), { form, headers: { ...this.credentials, ...headers } });
  }

  /** Lets `browser` approve; answers the form of the code exchange. */
  async authorize(browser, changes) {
    const { url, verifier } = this.request(changes);
    const { code } = await browser.approve(url);
    return { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: this.redirectUri };
  }

  token(form, headers = {}) {
    const own = this.secret ? {} : { client_id: this.id };
    const fields = Array.isArray(form) ? form : present({ ...own, ...form });
    return send(this.at('/oauth/token'), { form: fields, headers: { ...this.credentials, ...headers } });
  }

  refresh(refreshToken, { headers, ...form } = {}) {
    return this.token({ grant_type: 'refresh_token', refresh_token: refreshToken, ...form }, headers);
  }

  introspect(token) {
    return send(this.at('/oauth/introspect'), { form: { token }, headers: this.credentials });
  }

  revoke(token) {
    return send(this.at('/oauth/revoke'), { form: { token }, headers: this.credentials });
  }
}
