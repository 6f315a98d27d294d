// Makes the vectors that need a key. `node generate.mjs` writes them, `node generate.mjs --check` compares them with
// what is checked in. Needs nothing but Node.

import { readFileSync, writeFileSync } from 'node:fs';

import { accessTokens } from './generator/access-token.mjs';
import { proofs } from './generator/dpop-proof.mjs';
import { identities } from './generator/identity.mjs';
import { ownerships } from './generator/ownership.mjs';
import { render } from './generator/records.mjs';
import { webhooks } from './generator/webhook.mjs';

const files = {
  'access-token.txt': render('Access tokens with the key set and the client that must judge them.', accessTokens),
  'dpop-proof.txt': render('DPoP proofs, accepted and refused (RFC 9449 section 4.3).', proofs),
  'identity.txt': render('Identities that an API behind the gateway is sent, accepted and refused.', identities),
  'ownership.txt': render('Answers to the challenge that asks whose store it is, accepted and refused.', ownerships),
  'webhook.txt': render('Webhook signatures.', webhooks),
};

for (const [name, made] of Object.entries(files)) {
  const path = new URL(name, import.meta.url);
  if (!process.argv.includes('--check')) {
    writeFileSync(path, made);
  } else if (readFileSync(path, 'utf8') !== made) {
    console.error(`${name} is not what generate.mjs makes`);
    process.exitCode = 1;
  }
}
