// The code that docs/gateway.md gives to whoever writes an API behind the gateway, run as it stands there.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const PAGE = readFileSync(new URL('../../../docs/gateway.md', import.meta.url), 'utf8');

/** The one block of a language. */
function block(language) {
  const [found, ...more] = PAGE.split(`\n\`\`\`${language}\n`).slice(1);
  assert.ok(found && more.length === 0, `docs/gateway.md has one block of ${language}`);
  return found.slice(0, found.indexOf('\n```\n'));
}

/** The recipe in Node. The file stands beside this one while it is loaded, where its imports are found. */
export async function nodeRecipe() {
  const directory = mkdtempSync(fileURLToPath(new URL('../.recipe-', import.meta.url)));
  const file = join(directory, 'recipe.mjs');
  writeFileSync(file, block('js'));
  try {
    return (await import(file)).caller;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** What the recipe in PHP says of each request: its claims, or null where it refuses. */
export async function phpRecipe(requests) {
  const program = `<?php\ndeclare(strict_types=1);\n${block('php')}
    $answers = [];
    foreach (json_decode(stream_get_contents(STDIN), true) as $it) {
        try {
            $it['request']['body'] = base64_decode($it['request']['body']);
            $answers[] = counterfoil_caller($it['request'], $it['issuer'], $it['upstream'], $it['jwks'], $it['now']);
        } catch (RuntimeException $refused) {
            $answers[] = null;
        }
    }
    echo json_encode($answers);`;
  const directory = mkdtempSync(fileURLToPath(new URL('../.recipe-', import.meta.url)));
  try {
    writeFileSync(join(directory, 'recipe.php'), program);
    const child = spawn('php', ['-d', 'display_errors=stderr', join(directory, 'recipe.php')], { timeout: 60_000 });
    child.stdin.end(JSON.stringify(requests));
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    assert.deepEqual([code, err], [0, '']);
    return JSON.parse(out);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
