// A real WordPress with the plugin, as its administrator meets it, and a gate before the daemon that counts who calls.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { freePort } from '../../interop/lib/processes.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const ZIP = join(ROOT, 'target/counterfoil.zip');
const call = promisify(execFile);

/** What the plugin asks for when a notification came. */
export const NOTIFICATION = 'POST /v1/webhooks/verify';

/** A socket before the daemon's. Every connection through it is a call of the plugin. */
class Gate {
  /** What was asked for (`GET /v1/status`), in this order. */
  asked = [];
  turnedAway = 0;
  /** What callers are turned away from, as by a daemon that is overrun. */
  refuses = undefined;

  constructor(path) {
    this.path = path;
  }

  /** Lets calls through to the daemon's socket at `target`. */
  async open(target) {
    this.server = createServer((caller) => {
      caller.once('error', () => caller.destroy());
      // Its first bytes say what it asks for.
      caller.once('data', (first) => {
        const line = first.toString('latin1').split(' ', 2).join(' ');
        this.asked.push(line);
        if (line === this.refuses) {
          this.turnedAway += 1;
          caller.destroy();
          return;
        }
        const { asked, answer } = this.played ?? {};
        if (line === asked) {
          this.played = undefined;
          caller.end(answer);
          return;
        }
        const daemon = connect(target);
        daemon.on('error', () => caller.destroy());
        caller.on('error', () => daemon.destroy());
        daemon.write(first);
        caller.pipe(daemon).pipe(caller);
      });
    });
    await new Promise((resolve) => { this.server.listen(this.path, resolve); });
  }

  /** How often it was asked for what is not about a notification, which comes when the platform wants. */
  get calls() {
    return this.asked.filter((line) => line !== NOTIFICATION).length;
  }

  /** Has the next call that asks for this (`POST /v1/callback`) answered so, as the daemon would in time or of another version. */
  play(asked, status, told) {
    const body = JSON.stringify(status < 400 ? told : { status, ...told });
    const head = `HTTP/1.1 ${status} Told\r\nContent-Type: application/${status < 400 ? 'json' : 'problem+json'}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`;
    this.played = { asked, answer: `${head}\r\n\r\n${body}` };
  }

  /** Takes the socket away, as it is where no daemon runs. */
  async close() {
    const server = this.server;
    this.server = undefined;
    if (server) await new Promise((resolve) => { server.close(resolve); });
  }
}

/** The same person, who waits longer: a machine with much else to do serves WordPress slowly. */
export function patient(person) {
  person.context.setDefaultTimeout(180_000);
  return person;
}

/** A shop at an address of its own. */
export class Shop {
  /**
   * `server` is `php` (PHP's own) or `fpm` (nginx and php-fpm, as hosts run them); a `network` has two sites, the second
   * at localhost; `installed` has the plugin on from the start, everywhere.
   */
  static async start({ server = 'php', network = false, installed = false } = {}) {
    const shop = new Shop();
    shop.network = network;
    shop.root = mkdtempSync(join(tmpdir(), 'cf-shop-'));
    shop.port = await freePort();
    shop.gate = new Gate(join(shop.root, 'api.sock'));
    const { stdout } = await call(join(ROOT, 'scripts/wordpress'), ['up', shop.root], {
      env: { ...process.env, PORT: String(shop.port), SERVER: server, NETWORK: network ? '1' : '' },
      timeout: 900_000,
    });
    shop.url = stdout.trim().split('\n').at(-1);
    shop.password = readFileSync(join(shop.root, 'password'), 'utf8').trim();
    if (installed) await shop.install().catch((failure) => shop.stop().then(() => { throw failure; }));
    return shop;
  }

  /** What its daemon's file says. */
  get store() {
    return {
      platform: 'wordpress', site_url: this.url, redirect_uri: this.at('/wp-admin/admin-post.php?action=counterfoil_callback'),
      webhook_url: this.webhook, plugin_version: '0.1.0', platform_version: '6.8',
    };
  }

  get webhook() {
    return this.at('/?rest_route=/counterfoil/v1/webhook');
  }

  at(path) {
    return `${this.url}${path}`;
  }

  /** The address of a screen of the plugin. */
  screen(page = 'counterfoil') {
    return this.at(`/wp-admin/admin.php?page=${page}`);
  }

  /** Signs a person in as the administrator. */
  async signIn(person, user = 'admin', password = this.password) {
    await patient(person).goTo(this.at('/wp-login.php'));
    await person.page.locator('#user_login').fill(user);
    await person.page.locator('#user_pass').fill(password);
    await person.page.locator('#wp-submit').click();
    await person.page.waitForURL(/wp-admin/);
  }

  /** Puts the plugin in and switches it on, as a host does for its customers. */
  async install() {
    await call('unzip', ['-q', ZIP, '-d', join(this.root, 'www/wp-content/plugins')]);
    await this.php('require_once ABSPATH . "wp-admin/includes/plugin.php"; wp_set_current_user(1); activate_plugin("counterfoil/counterfoil.php", "", is_multisite());');
  }

  /** Runs PHP in this WordPress, or in a copy of its files, as cron and the command line do; answers what it prints. */
  async php(code, files = 'www') {
    // A network finds the site by the address that was asked for.
    const asked = this.network ? `$_SERVER["HTTP_HOST"] = "127.0.0.1:${this.port}"; $_SERVER["REQUEST_URI"] = "/";` : '';
    const start = `${asked} require ${JSON.stringify(join(this.root, files, 'wp-load.php'))};`;
    const { stdout } = await call('php', ['-d', 'error_log=/dev/null', '-r', `${start}${code}`], { timeout: 180_000 });
    return stdout;
  }

  /** Has a PHP process killed while it holds a payment's lock, as a host's limits do; `before` runs first. */
  async dieWithLock(before = '') {
    const end = 'Counterfoil\\WordPress\\Payments\\Records::alone("pl_1", function () { posix_kill(posix_getpid(), SIGKILL); });';
    assert.equal(await this.php(`${before} ${end}`).catch(({ signal }) => signal), 'SIGKILL');
    const locks = 'echo $wpdb->get_var("SELECT COUNT(*) FROM $wpdb->options WHERE option_name LIKE \'counterfoil%.lock\'");';
    assert.equal(await this.php(`${before} ${locks}`), '1');
  }

  /** Copies its files to another directory, for php(). */
  async copyFiles(to) {
    await call('cp', ['-al', join(this.root, 'www'), join(this.root, to)]);
  }

  /** Makes it known by another address, as a copy of the shop's files and database would be; without one, by its own. */
  async pretendToBe(url) {
    const file = join(this.root, 'home');
    if (url) writeFileSync(file, url);
    else rmSync(file, { force: true });
  }

  /** Has it speak a language that is written from right to left, or not any more. */
  async rightToLeft(on) {
    const file = join(this.root, 'www/wp-content/mu-plugins/right-to-left.php');
    if (on) writeFileSync(file, '<?php add_action("init", function () { $GLOBALS["wp_locale"]->text_direction = "rtl"; }, 0);');
    else rmSync(file);
  }

  /** Has it speak a language in which every word of the plugin stands between « and »; or its own again. */
  async translate(on = true) {
    const languages = join(this.root, 'www/wp-content/languages');
    mkdirSync(join(languages, 'plugins'), { recursive: true });
    const texts = readFileSync(join(ROOT, 'plugin-bridge/wordpress/languages/counterfoil.pot'), 'utf8');
    const translated = texts.replace(/^msgid "(.+)"\nmsgstr ""/gm, 'msgid "$1"\nmsgstr "«$1»"');
    // WordPress takes no language of which it has nothing itself.
    for (const [name, text] of [['de_DE', texts], ['plugins/counterfoil-de_DE', translated]]) {
      const file = join(languages, name);
      writeFileSync(`${file}.po`, text);
      await call('msgfmt', ['-o', `${file}.mo`, `${file}.po`]);
    }
    await this.php(`update_option("WPLANG", "${on ? 'de_DE' : ''}");`);
  }

  /** Has WordPress write down what it asks the outside for, and the files that ask. */
  async watchCalls() {
    const log = JSON.stringify(join(this.root, 'calls.log'));
    writeFileSync(join(this.root, 'www/wp-content/mu-plugins/watch-calls.php'), `<?php add_filter("pre_http_request", function ($done, $arguments, $url) {
      $files = array_filter(array_column(debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS), "file"));
      file_put_contents(${log}, $url . " " . implode(" ", $files) . "\\n", FILE_APPEND | LOCK_EX);
      return $done;
    }, 10, 3);`);
    await this.php('delete_site_transient("update_plugins"); delete_site_transient("update_core"); wp_version_check();');
  }

  /** What it asked for since. */
  async watchedCalls() {
    return readFileSync(join(this.root, 'calls.log'), 'utf8').trim().split('\n');
  }

  /** What PHP complained of in the plugin's own files. */
  complaints() {
    const log = join(this.root, 'debug.log');
    const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [];
    return lines.filter((line) => line.includes('/plugins/counterfoil/') || /Fatal error|counterfoil/i.test(line));
  }

  async stop() {
    await this.gate.close();
    await call(join(ROOT, 'scripts/wordpress'), ['down', this.root]);
    rmSync(this.root, { recursive: true, force: true });
    assert.ok(!existsSync(this.root));
  }
}
