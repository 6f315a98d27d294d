// A tiny store: one page with a Connect button, the registered callback, a button that makes a payment link, and the address
// of notifications. It remembers nothing beyond its end.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';

import { Client } from '../node/src/index.mjs';

const CALLBACK = '/wp-admin/admin-post.php';
const CHALLENGE = '/wp-json/counterfoil/v1/challenge';
const ORDER = { amount: '19.90', fiatCurrency: 'EUR', orderId: 'DEMO-1' };

/** Whether a notification's link asks for what the order asks for. */
const isForOrder = (link) => link.merchantOrderId === ORDER.orderId && link.amount === ORDER.amount && link.fiatCurrency === ORDER.fiatCurrency;

const escape = (text) => String(text ?? '').replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (content) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demo store</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:3rem auto;padding:0 1rem}
form{margin:.5rem 0}button{font:inherit;padding:.6rem 1.2rem}a,code{overflow-wrap:anywhere}</style></head>
<body><main><h1>Demo store</h1>${content}</main></body></html>`;

const button = (action, label) => `<form method="post" action="${action}"><button>${label}</button></form>`;

function front(status, message, payment) {
  const connected = status.state === 'connected';
  const link = payment && `<p>Payment link: <a href="${escape(payment.url)}">${escape(payment.url)}</a></p>
    <p>${payment.paid ? 'It is paid.' : 'It is not paid yet.'}</p>`;
  return page(`
    ${message ? `<p role="status"><strong>${escape(message)}</strong></p>` : ''}
    <p>${escape(status.summary)}</p><p>${escape(status.next_step)}</p>
    ${connected ? button('/pay', 'Create a payment link over 19.90 EUR') : button('/connect', 'Connect')}
    ${connected ? button('/disconnect', 'Disconnect') : ''}
    ${link ?? ''}
    <p>Key of this store: <code>${escape(status.thumbprint)}</code></p>`);
}

/** Starts the store on `port`, beside the daemon at `socket`. */
export function startStore(port, socket) {
  const daemon = new Client({ plugin: 'demo-store/1.0', socket });
  let notice;
  let payment;
  // Whoever asks may be anybody: what is not for this store is answered with 404, and nothing is shown of it.
  const challenge = async ({ searchParams: query }) => {
    const [nonce, clientId] = ['nonce', 'client_id'].map((name) => (query.getAll(name).length === 1 ? query.get(name) : null));
    if (nonce === null || clientId === null) return null;
    return daemon.ownership(nonce, clientId).catch(() => null);
  };
  /** What the platform tells of payments: genuine or not is for the daemon to say, by the raw body. Answers the status. */
  const hear = async (headers, body) => {
    try {
      const { event } = await daemon.verifyWebhook({ headers, body });
      const { paymentLink: link = {}, status } = event;
      if (link.uid === payment?.uid && isForOrder(link) && status === 'complete') payment.paid = true;
      return 200;
    } catch (problem) {
      return problem.status >= 400 ? problem.status : 503;
    }
  };
  const routes = {
    'GET /': async () => {
      const message = notice;
      notice = undefined;
      return { html: front(await daemon.status(), message, payment) };
    },
    'POST /connect': async () => {
      // The attempt belongs to this browser: what another one brings back is not taken.
      const bind = randomBytes(32).toString('hex');
      const { authorization_url: location } = await daemon.connect({ bind });
      return { location, cookie: `bind=${bind}; Path=${CALLBACK}; HttpOnly; SameSite=Lax` };
    },
    [`GET ${CALLBACK}`]: async ({ search }, { cookie = '' }) => {
      const bind = /(?:^|; )bind=([0-9a-f]{64})(?:;|$)/.exec(cookie)?.[1] ?? '';
      const connection = await daemon.callback({ query: search.slice(1), bind });
      notice = connection.summary;
      return { location: '/' };
    },
    'POST /pay': async () => {
      const { json } = await daemon.request('POST', 'makepay/payment-links', { json: { payload: ORDER }, idempotencyKey: 'order-DEMO-1' });
      const { uid, publicUrl: url } = json.paymentLink;
      if (payment?.uid !== uid) payment = { uid, url, paid: false };
      return { location: '/' };
    },
    'POST /disconnect': async () => {
      await daemon.disconnect();
      payment = undefined;
      return { location: '/' };
    },
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://store.invalid');
    const route = routes[`${request.method} ${url.pathname}`];
    if (request.method === 'GET' && url.pathname === CHALLENGE) {
      const answer = await challenge(url);
      if (!answer) return response.writeHead(404).end();
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
      return response.writeHead(200, headers).end(JSON.stringify(answer));
    }
    if (`${request.method} ${url.pathname}` === 'POST /notification') {
      return response.writeHead(await hear(request.headers, await buffer(request))).end();
    }
    if (!route) return response.writeHead(404).end();
    try {
      const { html, location, cookie } = await route(url, request.headers);
      if (location) return response.writeHead(303, { location, ...(cookie && { 'set-cookie': cookie }) }).end();
      return response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
    } catch (problem) {
      notice = [problem.message, problem.nextStep].filter(Boolean).join(' ');
      if (url.pathname !== '/') return response.writeHead(303, { location: '/' }).end();
      return response.writeHead(503, { 'content-type': 'text/html; charset=utf-8' }).end(page(`<p>${escape(notice)}</p>`));
    }
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
