// A merchant at a desk and on a phone, with a shop, its daemon and the platform: what every part of the journey has.
import assert from 'node:assert/strict';

import { Person } from '../../interop/lib/chromium.mjs';
import { LANDS } from '../../interop/lib/lands.mjs';
import { Shop } from './shop.mjs';

export const OURS = { within: '#wpbody-content' };
export const COMPANY = 'Nordwind Trading';
export const OTHER = 'Süddeutsche Kolonialwaren- und Feinkosthandelsgesellschaft für Überseeprodukte mit beschränkter Haftung & Töchter';

/** A notification that a busy machine could not take is sent again soon; the code of a callback outlives a slow test. */
const PATIENT = `
[lifetimes]
code = 600
[webhooks]
attempts = 1000
interval_seconds = 2
retry_after_seconds = 0
`;

export const land = LANDS.map((make) => make()).find(({ name }) => name === 'counterfoil-server');
export let shop;
export let daemon;
export let merchant;
export let phone;

export const says = async (person, pattern) => assert.match(await person.text(), pattern);

/** Looks at a page of the plugin in both sizes. */
export async function look(name) {
  await merchant.lookAt(`wordpress-${name}`, OURS);
  await phone.goTo(merchant.page.url());
  await phone.lookAt(`wordpress-${name}`, OURS);
}

/** Presses Connect, and signs in at the platform where it asks. */
export async function goToPlatform(button) {
  await merchant.goTo(shop.screen());
  await merchant.press(button);
  assert.ok(merchant.page.url().startsWith(land.proxy.origin), merchant.page.url());
  if (await merchant.page.getByLabel('Password').count()) await merchant.signIn(land.browser.person);
}

/** Chooses the company that gets paid, and approves. */
export async function approve(company) {
  await merchant.page.getByLabel(company).check();
  await merchant.press('Approve');
}

/** The callback's address as the platform would open it, with no browser yet that has opened it. */
export async function callbackOf(button) {
  const asked = merchant.page.waitForRequest(/\/oauth\/authorize\?/);
  await goToPlatform(button);
  return (await land.browser.approve((await asked).url(), COMPANY)).callback;
}

/** Brings up shop, platform and daemon, and the merchant's browsers. */
export async function begin() {
  [shop] = await Promise.all([Shop.start(), land.start({ settings: PATIENT })]);
  // Whose merchant has two companies to choose from.
  await land.server.company(OTHER);
  await land.server.operator(['user', 'add', '--email', land.browser.person.email, '--company', OTHER, '--role', 'admin', '--password-stdin'], `${land.browser.person.password}\n`);
  daemon = await land.daemon('wordpress', shop.store);
  merchant = await Person.open({ size: 'desktop' });
  phone = await Person.open({ size: 'phone' });
  await shop.signIn(merchant);
  await shop.signIn(phone);
}

/** Ends them all. */
export async function end() {
  await Promise.all([merchant?.close(), phone?.close()]);
  await shop?.stop();
  await land.stop();
}
