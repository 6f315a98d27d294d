// The oldest and the newest PHP that the client and the plugin are for. Debian has one version of PHP; these two are
// PHP itself, built for WebAssembly: they compile every file, and run what needs no network.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { PHP, loadPHPRuntime } from '@php-wasm/universal';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILES = ['plugin-bridge', 'tests/interop/lib', 'tests/php'].flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true })
  .filter((name) => name.endsWith('.php') && !name.includes('node_modules')).map((name) => join(folder, name)));

/** The same file, which ends before it does anything: all of it is compiled, nothing of it runs. */
function compiledOnly(text) {
  const begin = /^namespace [^;{]*[;{]/m.exec(text) ?? /^declare\(strict_types=1\);/m.exec(text) ?? /^<\?php/.exec(text);
  const at = begin.index + begin[0].length;
  return `${text.slice(0, at)} return;${text.slice(at)}`;
}

/** One PHP, with the files of this project in it. */
async function start(loader) {
  const php = new PHP(await loadPHPRuntime(await loader(), { ENV: {} }));
  for (const name of FILES) {
    const whole = readFileSync(join(ROOT, name), 'utf8');
    for (const [folder, text] of [['/project', whole], ['/compiled', compiledOnly(whole)]]) {
      const path = join(folder, name);
      if (!php.fileExists(dirname(path))) php.mkdir(dirname(path));
      php.writeFile(path, text);
    }
  }
  return php;
}

/** Runs PHP code in which everything that PHP complains of, however mildly, is an exception; answers what it prints. */
async function run(php, code) {
  const strict = `<?php error_reporting(E_ALL); set_error_handler(static function ($kind, $text, $file, $line) {
    throw new ErrorException($text, 0, $kind, $file, $line);
  }); try { ${code} } catch (Throwable $e) { echo get_class($e), ': ', $e->getMessage(), ' in ', $e->getFile(), ':', $e->getLine(); }`;
  const { text, errors } = await php.run({ code: strict });
  return `${text}${errors}`;
}

const compile = (php, path) => run(php, `require ${JSON.stringify(path)}; echo 'compiled';`);

for (const [version, module] of [['7.4', '@php-wasm/node-7-4'], ['8.5', '@php-wasm/node-8-5']]) {
  describe(`PHP ${version}`, () => {
    let php;
    before(async () => { php = await start((await import(module)).getPHPLoaderModule); });
    after(() => php?.exit());

    it('is that version', async () => {
      assert.ok((await run(php, 'echo PHP_VERSION;')).startsWith(`${version}.`));
    });

    it('compiles every file, without a word', async () => {
      assert.ok(FILES.length > 60, `${FILES.length} files`);
      for (const name of FILES) assert.equal(await compile(php, join('/compiled', name)), 'compiled', name);
    });

    it('says what it does not compile, and what it will not for long', async () => {
      php.writeFile('/compiled/broken.php', compiledOnly('<?php class A { function f( }'));
      assert.match(await compile(php, '/compiled/broken.php'), /^ParseError/);
      php.writeFile('/compiled/newer.php', compiledOnly('<?php enum A { case B; }'));
      assert.match(await compile(php, '/compiled/newer.php'), version === '7.4' ? /^ParseError/ : /^compiled$/);
      php.writeFile('/compiled/older.php', compiledOnly('<?php function older(A $a = null) {}'));
      assert.match(await compile(php, '/compiled/older.php'), version === '7.4' ? /^compiled$/ : /^ErrorException: .*deprecated/);
    });

    it('runs the client', async () => {
      const told = JSON.parse(await run(php, 'require "/project/tests/php/client.php";'));
      assert.deepEqual(told, {
        status: 'connected', connect: 'https://pay.example/authorize', link: 'https://pay.example/payment/pl_1',
        sent: ['GET /v1/status', 'POST /v1/connect {"bind":"a-value"}', 'POST /v1/api/makepay/payment-links {"payload":{"amount":"19.90"}}'],
        refusals: ['SafeMode site_mismatch', 'NotConnected not_connected', 'TryLater server_unreachable', 'PlatformRefused payment_link_not_found', 'WebhookRefused webhook_replayed', 'CallRefused argument'],
      });
    });

    it('runs the tests of the plugin\'s rules', async () => {
      const told = await run(php, 'require "/project/tests/php/rules.php";');
      assert.match(told, /^(\w+::test\w+ passed\n){8,}$/, told);
    });
  });
}
