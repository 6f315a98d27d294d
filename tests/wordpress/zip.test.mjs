// What is in the zip, and the rules by which reviewers of plugins look at it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ZIP = join(ROOT, 'target/counterfoil.zip');
const run = (bin, ...args) => execFileSync(bin, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 });
const names = run('unzip', '-Z1', ZIP).trim().split('\n').map((name) => name.replace(/^counterfoil\//, ''));
const text = (name) => run('unzip', '-p', ZIP, `counterfoil/${name}`);
const php = names.filter((name) => name.endsWith('.php'));
const code = new Map(php.map((name) => [name, text(name).replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')]));

/** Where a pattern is found in PHP, by file. */
const found = (pattern, files = php) => files.filter((name) => pattern.test(code.get(name)));
const own = php.filter((name) => !name.startsWith('bridge/'));

describe('the zip of the plugin', () => {
  it('has what it needs and nothing else', () => {
    const allowed = /^(counterfoil\.php|uninstall\.php|readme\.txt|LICENSE|(src|bridge)\/([A-Z]\w+\/)?[A-Z]\w+\.php|block\/(block\.json|editor\.js|editor\.asset\.php)|assets\/[a-z-]+\.(css|js)|languages\/counterfoil\.pot)$/;
    assert.deepEqual(names.filter((name) => !allowed.test(name)), []);
    for (const name of ['counterfoil.php', 'uninstall.php', 'readme.txt', 'LICENSE', 'src/Plugin.php', 'bridge/Client.php', 'languages/counterfoil.pot']) {
      assert.ok(names.includes(name), name);
    }
    assert.deepEqual(names, [...names].sort());
  });

  it('is the same each time', () => {
    const hash = () => createHash('sha256').update(readFileSync(ZIP)).digest('hex');
    const before = hash();
    run('sh', '-c', 'umask 077; TZ=Asia/Tokyo LC_ALL=C.UTF-8 scripts/plugin');
    assert.equal(hash(), before);
  });

  it('says one version, and the same of what it needs', () => {
    const [header, readme] = [text('counterfoil.php'), text('readme.txt')];
    const says = (where, name) => new RegExp(`^(?: \\* )?${name}: (.+)$`, 'm').exec(where)?.[1];
    const version = says(header, 'Version');
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.equal(says(readme, 'Stable tag'), version);
    assert.match(header, new RegExp(`VERSION = '${version}'`));
    for (const name of ['Requires at least', 'Requires PHP', 'License', 'License URI']) {
      assert.equal(says(header, name), says(readme, name), name);
    }
    assert.deepEqual([says(header, 'Text Domain'), says(header, 'License')], ['counterfoil', 'GPL-2.0-or-later']);
    assert.ok(says(readme, 'Tags').split(',').length <= 5);
    assert.match(says(readme, 'Tested up to'), /^\d+\.\d+$/);
    assert.ok(Number(says(readme, 'Tested up to')) >= 7.1, 'the newest that it was tried in');
    const short = readme.split('\n\n')[1].trim();
    assert.ok(short.length <= 150 && !short.includes('\n'), short);
    for (const name of ['Description', 'Installation', 'Frequently Asked Questions', 'External services', 'Changelog', 'Upgrade Notice']) {
      assert.match(readme, new RegExp(`^== ${name} ==$`, 'm'));
    }
  });

  it('has no file that does something when it is opened by its address', () => {
    for (const name of php) assert.match(code.get(name), /defined\('(ABSPATH|WP_UNINSTALL_PLUGIN)'\) \|\| exit;/, name);
  });

  it('keeps to the rules of reviewers', () => {
    assert.deepEqual(found(/\bwp_redirect\(|header\(\s*'Location/), [], 'redirects are safe');
    assert.deepEqual(found(/\b(eval|base64_decode|create_function|passthru|shell_exec|exec|system|proc_open|popen|unserialize|move_uploaded_file)\s*\(/), [], 'nothing hidden, nothing run');
    assert.deepEqual(found(/<<<|`|<\?(?!php)|\bgoto\b/), [], 'no heredoc, backticks, short tags, goto');
    // To forget all that it kept takes a search that WordPress has no function for.
    assert.deepEqual(found(/\$wpdb/), ['uninstall.php'], 'no SQL of its own');
    assert.deepEqual(code.get('uninstall.php').match(/\$wpdb->\w+\([^;]*/g).filter((call) => !call.startsWith('$wpdb->get_col($wpdb->prepare(')), []);
    assert.deepEqual(found(/https?:\/\/(localhost|127\.0\.0\.1)\//), [], 'no local address');
    assert.deepEqual(found(/\$_(REQUEST|COOKIE|FILES)\b/), [], 'named input alone');
    assert.deepEqual(found(/\b(extract|parse_str|ini_set|error_reporting|set_time_limit|date_default_timezone_set)\s*\(/), []);
    assert.deepEqual(found(/\b_e\(|\besc_html_e\(|\b__\((?!')/, own), [], 'strings are literal');
    for (const name of own) {
      for (const [call, domain] of code.get(name).matchAll(/\b(?:__|esc_html__|esc_attr__)\('(?:[^'\\]|\\.)*'(?:, '([^']*)')?\)/g)) {
        assert.equal(domain, 'counterfoil', `${name}: ${call}`);
      }
      for (const [statement] of code.get(name).matchAll(/\b(?:echo|printf)\b[^;]*;/g)) {
        if (/\$/.test(statement)) assert.match(statement, /esc_|wp_kses|\(int\)|echo \$more/, `${name}: ${statement}`);
      }
      // Whether something is there may be asked; what is there is unslashed before it is used.
      const used = code.get(name).replace(/isset\(\$_(?:GET|POST)\[[^\]]+\]\)/g, '');
      for (const [, before] of used.matchAll(/(.{0,12})\$_(?:GET|POST)\b/g)) assert.match(before, /wp_unslash\($/, name);
    }
    for (const name of found(/register_rest_route/)) assert.match(code.get(name), /permission_callback/, name);
  });

  it('calls everything that others may meet by its own name', () => {
    for (const name of php.filter((it) => !['uninstall.php', 'block/editor.asset.php'].includes(it))) {
      assert.match(code.get(name), /^namespace Counterfoil\\WordPress(\\\w+)*;$/m, name);
    }
    // Options, meta, hooks that are fired, handles, kinds of posts, shortcodes, hooks of cron.
    const named = /\b(?:(?:add|update|delete)_option|(?:add|update|delete)_(?:user|post)_meta\([^,']*,|do_action|apply_filters|wp_(?:register|enqueue)_(?:script|style)|add_shortcode|register_rest_route)\(?\s*'([^']*)'/g;
    for (const name of own) {
      for (const [call, theirs] of code.get(name).matchAll(named)) assert.match(theirs, /^counterfoil/, `${name}: ${call}`);
    }
  });

  it('has no script and no style in its pages, and nothing that is not its business', () => {
    assert.deepEqual(found(/<script|<style|\bstyle="|\bon(click|load|submit|change|error)=/i), [], 'nothing inline');
    assert.deepEqual(found(/\b(wp_remote_\w+|curl_\w+|fsockopen|stream_socket_client|file_put_contents|fopen|mail)\s*\(/, own), [], 'the client alone speaks to the daemon');
    assert.deepEqual(found(/https?:\/\/[a-z]/i, own.filter((name) => name !== 'counterfoil.php')), [], 'no address of anybody');
    assert.deepEqual(found(/\b(wp_ajax_\w*|allow_unfiltered|ALLOW_UNFILTERED_UPLOADS|add_filter\('(pre_set_)?site_transient_update)/), []);
    for (const name of found(/\$_POST/)) assert.match(code.get(name), /check_admin_referer\([\s\S]*current_user_can\(/, name);
    for (const name of names.filter((it) => /\.(js|css)$/.test(it))) {
      const lines = text(name).split('\n');
      assert.ok(lines.length > 5 && lines.every((line) => line.length < 300), `${name} is as it was written`);
    }
    const block = JSON.parse(text('block/block.json'));
    assert.deepEqual([block.name, block.textdomain], ['counterfoil/payment', 'counterfoil']);
  });

  it('offers its way to pay in the checkout that is made of blocks', () => {
    const offered = [];
    const element = { createElement: (type, _, ...children) => (typeof type === 'function' ? type() : { type, children }) };
    const window = {
      wc: {
        wcBlocksRegistry: { registerPaymentMethod: (method) => offered.push(method) },
        wcSettings: { getSetting: (name, usual) => (name === 'counterfoil_data' ? { title: 'Pay &amp; go', description: 'You are sent away.', supports: ['products'] } : usual) },
      },
      wp: { element, htmlEntities: { decodeEntities: (it) => it.replace('&amp;', '&') } },
    };
    runInNewContext(text('assets/checkout.js'), { window });
    assert.equal(offered.length, 1);
    const [{ name, label, ariaLabel, content, canMakePayment, supports }] = offered;
    assert.deepEqual([name, label, ariaLabel, content.children[0], canMakePayment(), [...supports.features]],
      ['counterfoil', 'Pay & go', 'Pay & go', 'You are sent away.', true, ['products']]);
  });

  it('names in its readme all that a payment link hands over', () => {
    const payload = /\$payload = array_filter\(\[([\s\S]*?)\], 'strlen'\) \+ \['(\w+)'/.exec(code.get('src/Payments/Links.php'));
    const sent = [...payload[1].matchAll(/'(\w+)' =>/g)].map(([, name]) => name).concat(payload[2]);
    const services = /^== External services ==$([\s\S]*?)^== /m.exec(text('readme.txt'))[1];
    const named = [...services.matchAll(/`([a-zA-Z]+)`/g)].map(([, name]) => name);
    assert.deepEqual(named.sort(), sent.sort());
  });

  it('is free software, and says so', () => {
    assert.match(text('LICENSE'), /GNU GENERAL PUBLIC LICENSE\s+Version 2, June 1991/);
    const client = JSON.parse(readFileSync(join(ROOT, 'plugin-bridge/php/composer.json'), 'utf8'));
    assert.ok(client.license.includes('MIT'), 'the client may be part of it');
  });

  it('has no secret in it', () => {
    const all = names.map(text).join('\n');
    assert.ok(!/BEGIN [A-Z ]*PRIVATE KEY|whsec_|mksec_|eyJ[A-Za-z0-9_-]{20}/.test(all));
  });

  it('has all its strings ready for translators', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cf-pot-'));
    try {
      run(join(ROOT, 'scripts/plugin-pot'), join(folder, 'counterfoil.pot'));
      assert.equal(readFileSync(join(folder, 'counterfoil.pot'), 'utf8'), text('languages/counterfoil.pot'), 'run scripts/plugin-pot');
      // What is put into a sentence is told to whoever translates it.
      for (const entry of text('languages/counterfoil.pot').split('\n\n').slice(1)) {
        if (/^msgid .*%(\d\$)?[sd]/m.test(entry)) assert.match(entry, /^#\. translators:/m, entry);
      }
      run('msgfmt', '--check-format', '--output-file=/dev/null', join(folder, 'counterfoil.pot'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
