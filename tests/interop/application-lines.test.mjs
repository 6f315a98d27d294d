// The lines that docs/applications.md gives to whoever writes an application, run as they stand there, with what their `…`
// stands for filled in.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { world } from './lib/kit.mjs';

const PAGE = readFileSync(new URL('../../docs/applications.md', import.meta.url), 'utf8');
const CALLBACK = 'https://app.example/cb?from=pay';
const SCOPES = ['company:read', 'makepay:payment-links:read'];
const here = world();

/** The blocks of shell, each with its heading. */
const BLOCKS = PAGE.split('\n### ').slice(1).flatMap((section) => {
  const heading = section.slice(0, section.indexOf('\n'));
  return [...section.matchAll(/\n```sh( public)?\n([\s\S]*?)\n```\n/g)].map(
    ([, kind, lines]) => ({ heading, isPublic: Boolean(kind), lines }),
  );
});

/** A shell that goes on from block to block, as a reader's does. */
class Shell {
  #child = spawn('bash', ['-u'], { stdio: ['pipe', 'pipe', 'inherit'], timeout: 240_000 });
  #text = '';

  constructor() {
    this.#child.stdout.setEncoding('utf8').on('data', (text) => { this.#text += text; this.heard?.(); });
    this.#child.once('close', () => { this.closed = true; this.heard?.(); });
  }

  /** What the lines print. */
  async run(lines) {
    this.#text = '';
    this.#child.stdin.write(`${lines}\nprintf '\\n=== end\\n'\n`);
    while (!this.#text.endsWith('\n=== end\n')) {
      assert.ok(!this.closed, `the shell ended after: ${this.#text}`);
      await new Promise((heard) => { this.heard = heard; });
    }
    return this.#text.slice(0, -'\n=== end\n'.length);
  }

  end() {
    this.#child.stdin.end();
  }
}

/**
 * Runs the page's lines in order; `decide` opens the link, and answers the callback's parameters. Answers what each heading
 * printed.
 */
async function follow(values, isPublic, decide) {
  const shell = new Shell();
  try {
    return await walk(shell, values, isPublic, decide);
  } finally {
    shell.end();
  }
}

async function walk(shell, values, isPublic, decide) {
  const printed = {};
  for (const { heading, lines, ...block } of BLOCKS) {
    if (block.isPublic !== isPublic && heading === 'A code for tokens') continue;
    const filled = lines.replace(/^(\w+)=(\S*)…\S*/gm, (whole, name, beginning) => {
      assert.ok(values[name]?.startsWith(name === 'issuer' ? 'http' : beginning), `${whole}: ${values[name]}`);
      return `${name}='${values[name]}'`;
    }).replaceAll('-u "$client_id:$client_secret"', isPublic ? '-d client_id="$client_id"' : '$&');
    const text = (await shell.run(filled)).trim();
    // Each line's answer: JSON objects stand one behind the other.
    printed[heading] = text.replaceAll('}{', '}\n{').split('\n');
    if (heading === 'The link') {
      const back = await decide(text);
      if (back.error) return { printed, back };
      assert.equal(back.iss, values.issuer);
      assert.equal(back.state, new URL(text).searchParams.get('state'));
      values.code = back.code;
    }
    if (heading === 'A code for tokens' || heading === 'A new access token') Object.assign(values, JSON.parse(text));
  }
  return { printed };
}

async function application(flags = []) {
  const app = await here.server.app('Ledger', 'Nordwind Trading', { redirectUris: [CALLBACK], scopes: SCOPES, flags });
  const { client_id, client_secret = 'mco_sec_none' } = app;
  return { issuer: here.server.issuer, client_id, client_secret, redirect_uri: CALLBACK };
}

describe('the lines of docs/applications.md', () => {
  for (const [kind, flags] of [['a confidential application', []], ['a public application', ['--public']]]) {
    it(`work for ${kind}`, async () => {
      const isPublic = flags.length > 0;
      const { printed } = await follow(await application(flags), isPublic, (link) => here.browser.approve(link));
      const [metadata, resource] = printed['What the server says of itself'].map(JSON.parse);
      assert.equal(metadata.issuer, here.server.issuer);
      assert.equal(resource.resource, here.server.audience);
      const tokens = JSON.parse(printed['A code for tokens']);
      assert.deepEqual([tokens.token_type, tokens.expires_in, tokens.scope], ['Bearer', 3600, SCOPES.join(' ')]);
      const [company, links] = printed['The API'].map(JSON.parse);
      assert.equal(company.company.name, 'Nordwind Trading');
      assert.deepEqual(links.paymentLinks, []);
      const next = JSON.parse(printed['A new access token']);
      assert.notEqual(next.refresh_token, tokens.refresh_token);
      const own = JSON.parse(printed['For your own company']);
      assert.deepEqual([own.error, own.scope], isPublic ? ['unauthorized_client', undefined] : [undefined, 'company:read']);
      const { active, error } = JSON.parse(printed['Is a token good?']);
      assert.deepEqual([active, error], isPublic ? [undefined, 'invalid_client'] : [true, undefined]);
      assert.deepEqual(printed['The end'], ['200']);
    });
  }

  it('lead to access_denied where the person denies', async () => {
    const { back } = await follow(await application(), false, (link) => here.browser.deny(link));
    assert.deepEqual([back.error, back.iss, back.code], ['access_denied', here.server.issuer, undefined]);
  });

  it('say which errors a callback can bring', async () => {
    const app = await application();
    const table = PAGE.slice(PAGE.indexOf('\n### The callback'), PAGE.indexOf('\n### A code for tokens'));
    for (const [error, changes] of [
      ['invalid_scope', { scope: 'company:reed' }],
      ['invalid_target', { resource: 'https://elsewhere.example/' }],
      ['invalid_request', { code_challenge_method: 'plain' }],
      ['unsupported_response_type', { response_type: 'token' }],
      ['request_not_supported', { request: 'eyJ' }],
      ['registration_not_supported', { registration: '{}' }],
    ]) {
      assert.ok(table.includes(`\`${error}\``), error);
      const { back } = await follow({ ...app }, false, async (link) => {
        const url = new URL(link);
        for (const [name, value] of Object.entries(changes)) url.searchParams.set(name, value);
        return here.browser.deny(url.href);
      });
      assert.deepEqual([back.error, back.iss], [error, here.server.issuer]);
    }
  });
});
