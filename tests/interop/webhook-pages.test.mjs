// A developer and the endpoint of an application, in a real browser: it is added, its secret seen once, a test fails at a
// receiver that is down, and is sent once more when it is up.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { everywhere } from './lib/chromium.mjs';
import { world } from './lib/kit.mjs';
import { until } from './lib/processes.mjs';

const COMPANY = 'Ledger Works';
const APPLICATION = 'Ledger Sync';
const receiver = { isUp: false, seen: [] };
receiver.server = createServer((request, response) => {
  if (!receiver.isUp) {
    request.socket.destroy();
    return;
  }
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    receiver.seen.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks) });
    response.setHeader('content-type', 'application/json');
    response.end('{"received":true}');
  });
});
let developer;

const here = world({
  companies: [COMPANY],
  after: () => {
    receiver.server.closeAllConnections();
    receiver.server.close();
  },
}, async () => {
  await new Promise((resolve) => { receiver.server.listen(0, '127.0.0.1', resolve); });
  developer = await here.server.person('developer@ledger.example', COMPANY);
  await App.register(here.server, { name: APPLICATION, company: COMPANY });
});

/** Loads the page again until it says so. */
const says = (person, words) => until(`the page says ${words}`, async () => {
  await person.page.reload();
  return words.test(await person.text());
});

describe('in a real browser', () => {
  it('a developer adds an endpoint, tries it while it is down, and again when it is up', () => everywhere(async (person, look) => {
    const { page } = person;
    receiver.isUp = false;
    const path = `/hook-${look.size}${look.dark ? '-dark' : ''}`;
    const url = `http://127.0.0.1:${receiver.server.address().port}${path}`;
    await person.goTo(`${here.server.issuer}/`);
    await person.signIn(developer);
    await person.follow('Applications');
    await person.follow(APPLICATION);
    await person.follow('Endpoints of this application');
    await person.lookAt('webhooks');
    await person.follow('New endpoint');
    assert.equal(await page.getByLabel('Application').locator('option:checked').innerText(), APPLICATION);
    await page.getByLabel('Address').fill('http://10.0.0.1/hook');
    await page.getByLabel('What it is for').fill('The books');
    await page.getByLabel('A payment link was made').check();
    await person.press('Add endpoint');
    assert.match(await person.text(), /Nothing was saved yet.*The URL/);
    await person.lookAt('webhook-wrong');
    await page.getByLabel('Address').fill(url);
    await person.press('Add endpoint');
    const secret = await page.locator('#secret').innerText();
    assert.match(secret, /^whsec_[\w-]{43}$/);
    await person.lookAt('webhook-secret');
    await page.reload();
    assert.match(await person.text(), /Nothing was changed: that form was used already/);
    assert.doesNotMatch(await page.content(), /whsec_/);
    const endpoint = page.url().replace('?unchanged=yes', '');

    await person.press('Send a test');
    await says(person, /Status Failed/);
    assert.match(await person.text(), /Every attempt failed.*Attempt 1.* ms .*POST http:\/\/127\.0\.0\.1/);
    await person.lookAt('webhook-delivery-failed');
    await person.goTo(endpoint);
    assert.match(await person.text(), /Failing\. The receiver does not take what is sent.*Test Failed/);
    await person.lookAt('webhook-failing');

    receiver.isUp = true;
    await person.follow('Test');
    await person.press('Retry');
    await says(person, /Status Delivered/);
    assert.match(await person.text(), /Answered 200 .*"deliveryId":.*\{"received":true\}/);
    await person.lookAt('webhook-delivery');
    const [told, ...more] = receiver.seen.filter((it) => it.path === path);
    assert.deepEqual(more, []);
    assert.equal(told.headers['x-makepay-delivery-origin'], 'manual');
    const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(told.headers['makecrypto-signature']);
    assert.equal(signature, createHmac('sha256', secret).update(`${time}.`).update(told.body).digest('hex'));

    await person.goTo(endpoint);
    await page.getByLabel('Show').selectOption('Delivered');
    await person.press('Search');
    assert.match(await person.text(), /Enabled.*Test Delivered Answered 200/);
    await person.follow('Rotate the secret');
    await page.getByLabel('For one day').check();
    await person.lookAt('webhook-rotate');
    await person.press('Rotate the secret');
    assert.notEqual(await page.locator('#secret').innerText(), secret);
    await person.follow('I have copied it');
    await person.press('Disable this endpoint');
    assert.match(await person.text(), /Status Disabled.*signs as well until/);
    await person.lookAt('webhook-disabled');
    await person.press('Enable this endpoint');
    assert.match(await person.text(), /Status Enabled/);
    await person.follow('Webhooks');
    assert.match(await person.text(), new RegExp(`${path}.*Of the application ${APPLICATION}`));
    await person.lookAt('webhooks-some');
  }));
});
