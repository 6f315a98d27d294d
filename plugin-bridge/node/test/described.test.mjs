// Every code that the local API describes has a class of its own meaning: a new code must be put somewhere.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';

import { CallRefused, DaemonFailed, kindOf } from '../src/errors.mjs';

const description = readFileSync(new URL('../../local-api.md', import.meta.url), 'utf8');
const codes = [...description.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \|/gm)].map(([, code, status]) => ({ code, status: Number(status) }));

/** The ones that only a mistake in a plugin earns, or that plugins never see. */
const MISTAKES = new Set([
  'adopt_refused', 'approval_pending', 'body_broken_off', 'body_malformed', 'body_too_large', 'call_refused',
  'key_unproven', 'not_in_safe_mode', 'path_refused', 'separate_refused', 'site_header_malformed',
]);
/** The ones for which nothing better can be said than that the daemon or the way to the platform failed. */
const FAILURES = new Set([
  'config_refused', 'degraded', 'internal', 'key_rotation_refused', 'storage_failed', 'token_echoed',
  'upstream_too_large', 'webhook_refused',
]);

it('every code is told by a class that says what to do', () => {
  assert.ok(codes.length > 60, `${codes.length} codes`);
  for (const { code, status } of codes) {
    const kind = kindOf(code, status);
    if (kind === CallRefused) assert.ok(MISTAKES.has(code), `${code} (${status}) is a mistake of the plugin's?`);
    if (kind === DaemonFailed) assert.ok(FAILURES.has(code), `${code} (${status}) is a failure of the daemon's?`);
  }
});
