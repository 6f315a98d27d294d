// A tiny store: one page with a Connect button, the registered callback, and a button that makes a payment link.
import { createServer } from 'node:http';

import { Client } from '../node/src/index.mjs';

const CALLBACK = '/wp-admin/admin-post.php';
const CHALLENGE = '/wp-json/counterfoil/v1/challenge';

const escape = (text) => String(text ?? '').replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (content) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demo store</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:3rem auto;padding:0 1rem}
button{font:inherit;padding:.6rem 1.2rem}code{word-break:break-all}</style></head>
<body><h1>Demo store</h1>${content}</body></html>`;

const button = (action, label) => `<form method="post" action="${action}"><button>${label}</button></form>`;

function front(status, message, link) {
  const connected = status.state === 'connected';
  const paid = link && `<p>Payment link: <a href="${escape(link)}">${escape(link)}</a></p>`;
  return page(`
    ${message ? `<p role="status"><strong>${escape(message)}</strong></p>` : ''}
    <p>${escape(status.summary)}</p><p>${escape(status.next_step)}</p>
    ${connected ? button('/pay', 'Create a payment link over 19.90 EUR') : button('/connect', 'Connect')}
    ${connected ? button('/disconnect', 'Disconnect') : ''}
    ${paid ?? ''}
    <p>Key of this store: <code>${escape(status.thumbprint)}</code></p>`);
}

/** Starts the store on `port`, beside the daemon at `socket`. */
export function startStore(port, socket) {
  const daemon = new Client({ plugin: 'demo-store/1.0', socket });
  let notice = {};
  // Whoever asks may be anybody: what is not for this store is answered with 404, and nothing is shown of it.
  const challenge = async ({ searchParams: query }) => {
    const [nonce, clientId] = ['nonce', 'client_id'].map((name) => (query.getAll(name).length === 1 ? query.get(name) : null));
    if (nonce === null || clientId === null) return null;
    return daemon.ownership(nonce, clientId).catch(() => null);
  };
  const routes = {
    'GET /': async () => {
      const { message, link } = notice;
      notice = {};
      return { html: front(await daemon.status(), message, link) };
    },
    'POST /connect': async () => ({ location: (await daemon.connect()).authorization_url }),
    [`GET ${CALLBACK}`]: async ({ search }) => {
      const connection = await daemon.callback({ query: search.slice(1) });
      notice = { message: connection.summary };
      return { location: '/' };
    },
    'POST /pay': async () => {
      const payload = { amount: '19.90', fiatCurrency: 'EUR', orderId: 'DEMO-1' };
      const { json } = await daemon.request('POST', 'makepay/payment-links', { json: { payload }, idempotencyKey: 'order-DEMO-1' });
      notice = { link: json.paymentLink.publicUrl };
      return { location: '/' };
    },
    'POST /disconnect': async () => {
      await daemon.disconnect();
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
    if (!route) return response.writeHead(404).end();
    try {
      const { html, location } = await route(url);
      if (location) return response.writeHead(303, { location }).end();
      return response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
    } catch (problem) {
      notice = { message: [problem.message, problem.nextStep].filter(Boolean).join(' ') };
      if (url.pathname !== '/') return response.writeHead(303, { location: '/' }).end();
      return response.writeHead(503, { 'content-type': 'text/html; charset=utf-8' }).end(page(`<p>${escape(notice.message)}</p>`));
    }
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
