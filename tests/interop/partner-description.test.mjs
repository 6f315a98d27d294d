// The partner API against its own description: schemathesis makes requests of every kind from the OpenAPI document that
// the server serves, honest and broken ones, and every answer must be one that the document has.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import Ajv from 'ajv/dist/2020.js';

import { App } from './lib/app.mjs';
import { send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';

const PAGE = new URL('../../docs/partner-api.md', import.meta.url);
const SCHEMATHESIS = fileURLToPath(new URL('../../target/schemathesis/bin/schemathesis', import.meta.url));

// An idle connection is the client's to end: a request could meet the server's end of it.
const settings = `${UNTHROTTLED}partner_requests_per_minute = 1000000\nhead_seconds = 120\n`;
const here = world({ settings }, prepare);

// What no schema can say may be refused with 400 where it is named here, and nowhere else.
const CONFIG = `
seed = 20270115
# A machine that has much to do makes requests slowly, and is answered slowly.
suppress-health-check = ["too_slow"]
request-timeout = 60
continue-on-failure = true
headers = { Authorization = "Bearer \${TOKEN}" }
generation.max-examples = 40
generation.database = "none"
checks.positive_data_acceptance.expected-statuses = ["2xx", 304, 404, 409, 412]
checks.missing_required_header.expected-statuses = [428]

# A cursor must be one that the list gave.
[[operations]]
include-operation-id = ["listActivity", "listCustomers", "listPaymentLinks", "listSubscriptions", "listWebhookRequests"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404]

# An event must be one that there is, however it is written.
[[operations]]
include-operation-id = ["replaceWebhookSubscription"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409, 412]

# A customer must be there, an amount must fit its currency, and a date must not be past.
[[operations]]
include-operation-id = ["createSubscription", "changeSubscription"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409, 412]
`;

/** A partner application whose token opens everything and is bound to no key; a notification for it to find. */
async function prepare() {
  const metadata = await send(`${here.server.issuer}/.well-known/oauth-protected-resource`);
  const app = await App.register(here.server, { scopes: metadata.json.scopes_supported });
  const { json: tokens } = await app.token(await app.authorize(here.browser));
  assert.equal(tokens.token_type, 'Bearer');
  here.token = tokens.access_token;
  const call = async (method, path, json) => {
    const headers = { authorization: `Bearer ${here.token}` };
    const answer = await send(`${here.server.audience}/makepay/${path}`, { method, json, headers });
    assert.ok(answer.status < 300, `${path}: ${answer.text}`);
    return answer.json;
  };
  await call('PUT', 'webhook-subscriptions/current', { url: 'https://shop.example/hook' });
  await call('POST', 'webhook-subscriptions/current/test');
  here.customer = (await call('POST', 'customers', { name: 'Ann Ardent' })).customer.id;
  here.description = (await send(`${here.server.audience}/openapi.json`)).json;
}

/** Every operation of the description, under its name. */
function operations() {
  const all = Object.values(here.description.paths).flatMap(Object.values);
  return all.map((operation) => [operation.operationId, operation]);
}

/** Runs a program in the server's directory to its end; it finds the token in its environment. */
function tell(program, args, variable) {
  const { path: directory } = here.server.directory;
  const child = spawn(program, args, {
    cwd: directory, env: { PATH: process.env.PATH, HOME: directory, [variable]: here.token }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let told = '';
  for (const out of [child.stdout, child.stderr]) out.setEncoding('utf8').on('data', (text) => { told += text; });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, told }));
  });
}

/** Runs schemathesis. */
function schemathesis() {
  const description = structuredClone(here.description);
  const { Url, Endpoint } = description.components.schemas;
  for (const schema of [Url, Endpoint]) {
    // Names that never resolve (RFC 2606): whoever is to be notified must be nobody.
    assert.match(schema.pattern, /\[A-Za-z\]\{2,24\}/);
    schema.pattern = schema.pattern.replace('[A-Za-z]{2,24}', '(example|invalid)');
  }
  const { path: directory } = here.server.directory;
  writeFileSync(join(directory, 'openapi.json'), JSON.stringify(description));
  writeFileSync(join(directory, 'schemathesis.toml'), CONFIG);
  return tell(
    SCHEMATHESIS, ['run', 'openapi.json', '--url', here.server.audience, '--checks', 'all', '--no-color'], 'TOKEN',
  );
}

describe('the description of the partner API', () => {
  it('has examples that are as it says', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    ajv.addSchema(here.description, 'api');
    const pointer = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/'));
    let examples = 0;
    for (const [name, { requestBody, responses }] of operations()) {
      for (const { content } of [requestBody, ...Object.values(responses)].filter(Boolean)) {
        const { schema, example } = content?.['application/json'] ?? {};
        if (example === undefined) continue;
        const valid = ajv.compile(pointer(schema));
        assert.ok(valid(example), `${name}: ${ajv.errorsText(valid.errors)}\n${JSON.stringify(example)}`);
        examples += 1;
      }
    }
    assert.ok(examples > 200, `${examples}`);
  });

  it('is true of the server, whatever is sent', async () => {
    assert.ok(existsSync(SCHEMATHESIS), 'schemathesis is not there: run scripts/setup');
    const { code, told } = await schemathesis();
    assert.equal(code, 0, told);
    assert.match(told, new RegExp(`Tested: ${operations().length}\n`), told);
  });
});

describe("the page's commands for a partner's application", () => {
  it('do as they stand what they say', async () => {
    const blocks = readFileSync(PAGE, 'utf8').split('```sh\n').slice(1).map((block) => block.split('```')[0]);
    const commands = blocks.find((block) => block.startsWith('partner()'));
    const script = commands
      .replace('curl -s', "curl -s --fail-with-body -w '%{stderr}\\n%{http_code} %{method}\\n'")
      .replace('https://pay.example', here.server.issuer)
      .replace('mpcus_…', here.customer)
      // What has not ended is not sent once more.
      .replace(/^partner .*mpwhreq_….*$/m, '');
    assert.ok(!script.includes('…'), script);
    const { code, told } = await tell('bash', ['-euo', 'pipefail', '-c', script], 'ACCESS_TOKEN');
    assert.equal(code, 0, told);
    assert.deepEqual(told.match(/^\d{3} [A-Z]+$/gm), [
      '200 GET', '201 POST', '201 POST', '200 GET', '200 PUT', '200 PUT', '202 POST', '200 GET',
    ], told);
  });
});
