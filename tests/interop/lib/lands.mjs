// The two servers a daemon is tried against, behind one proxy each and spoken to in one way.
import { writeFileSync } from 'node:fs';

import { startContractServer } from '../contract-server.mjs';
import { Browser } from './browser.mjs';
import { ok, send } from './http.mjs';
import { UNTHROTTLED } from './kit.mjs';
import { PLATFORMS } from './native.mjs';
import { Daemon, Server } from './processes.mjs';
import { Proxy } from './proxy.mjs';

let shops = 0;

class Land {
  daemons = [];

  /** Starts a daemon for a new store of this land. */
  async daemon(platform = 'wordpress', { socket, as, ...options } = {}) {
    const site = `https://shop-${process.pid}-${shops += 1}.example`;
    const daemon = await Daemon.start({
      platform, site_url: site, redirect_uri: PLATFORMS[platform]?.callback(site), plugin_version: '1.0.1',
      platform_version: '6.9',
      issuer: this.proxy.origin, ...options,
    }, { socket, as });
    this.daemons.push(daemon);
    return daemon;
  }

  /** Starts a connect and answers the URL for the browser. */
  async begin(daemon) {
    return ok(await daemon.local('POST', '/v1/connect', { json: {} })).authorization_url;
  }

  /** Lets the merchant decide and answers the query string that the store's callback receives. */
  async decide(url, decision = 'approve') {
    const { callback } = decision === 'approve' ? await this.browser.approve(url) : await this.browser.deny(url);
    return callback.slice(callback.indexOf('?') + 1);
  }

  callback(daemon, query) {
    return daemon.local('POST', '/v1/callback', { json: { query } });
  }

  async connect(daemon) {
    return ok(await this.callback(daemon, await this.decide(await this.begin(daemon))));
  }

  /** A daemon that is connected. */
  async connected(platform, options) {
    const daemon = await this.daemon(platform, options);
    await this.connect(daemon);
    return daemon;
  }

  /** Stops the daemons, so that their refreshes are not counted any more. */
  async retire() {
    for (const daemon of this.daemons.splice(0)) await (daemon.process.running ? daemon.stop() : daemon.directory.remove());
  }

  async stop() {
    await this.retire();
    await this.server?.stop();
    await this.proxy.stop();
  }
}

class ContractLand extends Land {
  name = 'a server that keeps the contract';
  company = 'Contract Company';

  async start({ accessToken } = {}) {
    this.proxy = await Proxy.start();
    const server = await startContractServer({ tokenLifetime: accessToken, origin: this.proxy.origin });
    this.proxy.target = server.address;
    this.server = { stop: server.close };
    this.token = server.control;
    this.browser = new Browser();
    return this;
  }

  /** Has access tokens live this long from now on. */
  tokensLive(seconds) {
    return this.control('token-lifetime', { seconds });
  }

  async control(command, body) {
    const answer = await send(`${this.proxy.target}/__control/${command}`, {
      method: body ? 'POST' : 'GET', json: body, headers: { 'x-control': this.token },
    });
    return ok(answer, 200, command);
  }
}

class CounterfoilLand extends Land {
  name = 'counterfoil-server';
  company = 'Nordwind Trading';

  /** `profiles` is a folder of an operator's own profiles; `settings` are the server's, beside those of a land. */
  async start({ accessToken, profiles, settings = '' } = {}) {
    this.proxy = await Proxy.start();
    const own = profiles ? `profiles_dir = ${JSON.stringify(profiles)}\n` : '';
    this.settings = (lifetime) => (
      `${own}${lifetime ? `[lifetimes]\naccess_token = ${lifetime}\n` : ''}${UNTHROTTLED}${settings}`
    );
    this.server = await Server.start({ via: this.proxy.origin, settings: this.settings(accessToken) });
    this.proxy.target = this.server.address;
    await this.server.company(this.company);
    this.browser = new Browser(await this.server.person('merchant@shop.example', this.company));
    return this;
  }

  /** Has access tokens live this long from now on. */
  async tokensLive(seconds) {
    writeFileSync(this.server.config, this.settings(seconds));
    await this.server.restart();
  }
}

export const LANDS = [() => new ContractLand(), () => new CounterfoilLand()];
export const contractLand = () => new ContractLand();
