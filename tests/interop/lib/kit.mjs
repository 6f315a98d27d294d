// What most tests begin with: a server, a company or two, a merchant, and a store that the merchant connects.
import { after, before } from 'node:test';

import { Browser } from './browser.mjs';
import { Server, until } from './processes.mjs';

/**
 * Starts a server before this file's tests, then runs `prepare`, and stops the server after them. One hook for all:
 * the runner does not promise the order of several. The world is filled in when the tests run.
 */
export function world({ companies = ['Nordwind Trading'], after: finish, ...options } = {}, prepare = () => {}) {
  const here = { companies };
  before(async () => {
    here.server = await Server.start(options);
    for (const name of companies) await here.server.company(name);
    here.merchant = await here.server.person('merchant@shop.example', ...companies);
    here.browser = new Browser(here.merchant);
    await prepare();
  });
  after(async () => {
    await here.server?.stop();
    finish?.();
  });
  return here;
}

/** Limits out of the way, for files that send hundreds of requests a second. */
export const UNTHROTTLED = `
[limits]
registrations_per_minute = 100000
pushed_requests_per_minute = 100000
token_requests_per_minute = 100000
sign_in_failures_per_minute = 100000
`;

/** And codes that live longer than a minute, for files in which one code meets many requests. */
export const PATIENT = `${UNTHROTTLED}
[lifetimes]
code = 600
`;

/** Waits until the clock says so: for what ends by time, with a lifetime of a second or two. */
export const clockPasses = (seconds) => until(`the clock passes ${seconds}`, () => Date.now() / 1000 > seconds + 0.05);

export { Browser, Server };
