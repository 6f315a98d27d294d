#!/usr/bin/env node
// A small server that keeps the contract of native integrations as plugins in the field rely on it, and shares no code
// with counterfoil-server: what a client must get along with when it cannot choose its server. State lives in memory.
//
//   node tests/interop/contract-server.mjs --port 0 [--token-lifetime SECONDS] [--origin URL]
//
// prints {"origin", "control"} and runs until SIGTERM; `--origin` is what a proxy before it is called.
// `POST /__control/...` with header `x-control` and JSON:
//   lose  {endpoint, count}                   the effect happens, the answer does not arrive
//   fail  {endpoint, count, status, body, contentType, phase}     phase `before` (default) has no effect
//   hold  {endpoint, phase}, release {endpoint};  delay {endpoint, ms, count};  clear {}
//   nonce {required}; clock {shift}; token-lifetime {seconds}; company {id, name}; revoke {client_id}; rotate-key {}
// `GET /__control/counts` and `/__control/installations` look. Endpoints: discovery jwks register reset authorize
// token create-link list-links read-link archive-link read-subscription put-subscription delete-subscription
// webhook-secret branding.
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { Faults } from './contract/control.mjs';
import { Installations } from './contract/installations.mjs';
import { PartnerApi } from './contract/partner.mjs';
import { ProofJudge, Refusal, SigningKeys } from './contract/proofs.mjs';
import { Tokens } from './contract/tokens.mjs';

const API = '/api/partner/v1/makepay';
const MAX_BODY = 256 * 1024;

class World {
  shift = 0;
  company = { id: 'company_contract', name: 'Contract Company' };

  constructor({ tokenLifetime = 3600 }) {
    this.tokenLifetime = tokenLifetime;
    this.keys = new SigningKeys();
    this.proofs = new ProofJudge(this);
    this.installations = new Installations(this);
    this.tokens = new Tokens(this);
    this.partner = new PartnerApi(this);
    this.faults = new Faults(this);
  }

  now() {
    return Math.floor(Date.now() / 1000) + this.shift;
  }

  get audience() {
    return `${this.origin}/api/partner/v1`;
  }

  metadata() {
    return {
      issuer: this.origin,
      authorization_endpoint: `${this.origin}/oauth/authorize`,
      token_endpoint: `${this.origin}/oauth/token`,
      jwks_uri: `${this.origin}/oauth/jwks.json`,
      native_installation_endpoint: `${this.origin}/oauth/native/installations`,
      authorization_response_iss_parameter_supported: true,
      grant_types_supported: ['authorization_code', 'refresh_token'],
      response_types_supported: ['code'],
      token_endpoint_auth_methods_supported: ['none'],
    };
  }
}

function routes(world) {
  const { partner } = world;
  const guarded = (name, scope, handle) => [name, (request) => partner.guarded(request, scope, handle)];
  return {
    'GET /.well-known/oauth-authorization-server': ['discovery', () => ({ status: 200, json: world.metadata() })],
    'GET /oauth/jwks.json': ['jwks', () => ({ status: 200, json: world.keys.jwks() })],
    'POST /oauth/native/installations': ['register', (request) => world.installations.register(request)],
    'DELETE /oauth/native/installations': ['reset', (request) => world.installations.reset(request)],
    'GET /oauth/authorize': ['authorize', (request) => world.tokens.authorize(request)],
    'POST /oauth/token': ['token', (request) => world.tokens.token(request)],
    [`POST ${API}/payment-links`]: guarded('create-link', 'makepay:payment-links:write', partner.createLink),
    [`GET ${API}/payment-links`]: guarded('list-links', 'makepay:payment-links:read', partner.listLinks),
    [`GET ${API}/payment-links/*`]: guarded('read-link', 'makepay:payment-links:read', partner.readLink),
    [`PATCH ${API}/payment-links/*`]: guarded('archive-link', 'makepay:payment-links:write', partner.archiveLink),
    [`GET ${API}/webhook-subscriptions/current`]: guarded(
      'read-subscription', 'makepay:webhooks:read', partner.readSubscription,
    ),
    [`PUT ${API}/webhook-subscriptions/current`]: guarded(
      'put-subscription', 'makepay:webhooks:write', partner.putSubscription,
    ),
    [`DELETE ${API}/webhook-subscriptions/current`]: guarded(
      'delete-subscription', 'makepay:webhooks:write', partner.deleteSubscription,
    ),
    [`POST ${API}/webhook-secret`]: guarded('webhook-secret', 'makepay:settings:write', partner.rotateSecret),
    [`GET ${API}/branding`]: guarded('branding', 'makepay:settings:read', partner.branding),
  };
}

async function readRequest(incoming) {
  const chunks = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
  }
  if (size > MAX_BODY) throw new Refusal(413, 'body_too_large');
  const text = Buffer.concat(chunks).toString('utf8');
  const { pathname, searchParams } = new URL(`http://server${incoming.url}`);
  const { headers, headersDistinct, method } = incoming;
  const typed = (type) => {
    if (headers['content-type']?.split(';')[0].trim() !== type) throw new Refusal(415, 'unsupported_media_type');
  };
  return {
    method, path: pathname, query: searchParams, headers, text,
    dpop: headersDistinct.dpop, dpopPrevious: headersDistinct['dpop-previous'],
    accessToken: () => /^DPoP ([^\s]+)$/i.exec(headers.authorization ?? '')?.[1],
    json() {
      typed('application/json');
      try {
        const value = JSON.parse(text);
        if (typeof value === 'object' && value !== null) return value;
      } catch { /* refused below */ }
      throw new Refusal(400, 'invalid_json');
    },
    form() {
      typed('application/x-www-form-urlencoded');
      const pairs = [...new URLSearchParams(text)];
      if (new Set(pairs.map(([name]) => name)).size !== pairs.length) throw new Refusal(400, 'invalid_request');
      return Object.fromEntries(pairs);
    },
  };
}

function send(world, outgoing, { status, json, text, html, headers = {}, contentType }) {
  const body = html ?? text ?? (json === undefined ? '' : JSON.stringify(json));
  outgoing.writeHead(status, {
    Date: new Date(world.now() * 1000).toUTCString(),
    'Content-Type': contentType ?? (html === undefined ? 'application/json' : 'text/html; charset=utf-8'),
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...headers,
  });
  outgoing.end(body);
}

async function answer(world, table, incoming, outgoing) {
  const refused = (error) => {
    if (!(error instanceof Refusal)) throw error;
    return { status: error.status, json: { error: error.error }, headers: error.headers };
  };
  let request;
  try {
    request = await readRequest(incoming);
  } catch (error) {
    return send(world, outgoing, refused(error));
  }
  if (request.path.startsWith('/__control/')) return send(world, outgoing, world.faults.command(request));
  const route = table[`${request.method} ${request.path}`]
    ?? table[`${request.method} ${request.path.replace(/[^/]+$/, '*')}`];
  if (!route) return send(world, outgoing, { status: 404, json: { error: 'not_found' } });

  const [endpoint, handle] = route;
  const { faults } = world;
  faults.count(endpoint);
  await faults.pass(endpoint, 'before');
  let fault = faults.take(endpoint, 'before');
  let result;
  if (fault === undefined) {
    try {
      result = handle(request);
    } catch (error) {
      result = refused(error);
    }
    await faults.pass(endpoint, 'after');
    fault = faults.take(endpoint, 'after');
  }
  if (fault?.kind === 'lose') return incoming.socket.destroy();
  if (fault?.kind === 'delay') await new Promise((resolve) => { setTimeout(resolve, fault.ms); });
  if (fault?.kind === 'fail') {
    result = { status: fault.status, text: fault.body, contentType: fault.contentType, headers: fault.headers };
  }
  return send(world, outgoing, result);
}

/** Starts the server on a loopback port; answers its origin, its control token and `close`. */
export async function startContractServer({ port = 0, tokenLifetime, origin } = {}) {
  const world = new World({ tokenLifetime });
  const table = routes(world);
  const server = createServer((incoming, outgoing) => {
    answer(world, table, incoming, outgoing).catch((error) => {
      process.stderr.write(`${error.stack}\n`);
      outgoing.destroy();
    });
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${server.address().port}`;
  world.origin = origin ?? address;
  const close = () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
  return { origin: world.origin, address, control: world.faults.token, close };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' }, 'token-lifetime': { type: 'string' }, origin: { type: 'string' },
    },
  });
  const lifetime = values['token-lifetime'];
  const { origin, control, close } = await startContractServer({
    port: Number(values.port), tokenLifetime: lifetime === undefined ? undefined : Number(lifetime),
    origin: values.origin,
  });
  process.stdout.write(`${JSON.stringify({ origin, control })}\n`);
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, close);
}
