// A real browser: Debian's Chromium, driven the way a person would drive it. Our pages' policy lets no script run, so
// what is done here is done without any; axe looks at every page from outside.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { until } from './processes.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SHOTS = fileURLToPath(new URL('../../../target/screenshots/', import.meta.url));
const RULES = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] };

/** The widths at which every journey is made. */
export const SIZES = {
  desktop: { width: 1280, height: 900 },
  phone: { width: 390, height: 844 },
};

/** The narrowest phone that pages must fit, in pixels. */
const SMALLEST = 360;

/** What is left of a desktop for somebody who reads at twice the size (WCAG 2.2, 1.4.4), in pixels. */
const ZOOMED = 640;

let shared;
after(() => shared?.then((browser) => browser.close()));

function launched() {
  shared ??= chromium.launch({
    executablePath: process.env.COUNTERFOIL_CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--no-first-run',
      // Nobody is at home at the callbacks of applications, no name server is asked, and no page waits for the fonts
      // that others' pages want.
      '--no-proxy-server', '--host-resolver-rules=MAP *.example 127.0.0.1:1, MAP *.googleapis.com 127.0.0.1:1',
    ],
  });
  return shared;
}

/** Somebody with a browser of their own, at one of SIZES, with or without dark colours. */
export class Person {
  static async open({ size = 'desktop', dark = false } = {}) {
    const context = await (await launched()).newContext({
      viewport: SIZES[size],
      colorScheme: dark ? 'dark' : 'light',
      reducedMotion: 'reduce',
      ignoreHTTPSErrors: true,
      acceptDownloads: false,
    });
    context.setDefaultTimeout(120_000);
    return new Person(context, await context.newPage(), `${size}${dark ? '-dark' : ''}`);
  }

  constructor(context, page, look) {
    Object.assign(this, { context, page, look });
  }

  close() {
    return this.context.close();
  }

  async goTo(url) {
    await this.page.goto(url);
  }

  /** Signs in on the page that is shown, or at `issuer`. */
  async signIn({ email, password }, issuer) {
    if (issuer) await this.goTo(`${issuer}/sign-in`);
    await this.page.getByLabel('E-mail address').fill(email);
    await this.page.getByLabel('Password').fill(password);
    await this.press('Sign in');
  }

  /** Clicks what leads to a page, and waits for that page. */
  async click(button) {
    const arrived = this.page.waitForEvent('framenavigated', (frame) => frame === this.page.mainFrame());
    await Promise.all([arrived, button.click()]);
    await this.page.waitForLoadState();
  }

  /** Presses a button by its words, and waits for the page after it. */
  press(name) {
    return this.click(this.page.getByRole('button', { name, exact: true }));
  }

  /** Follows a link by its words. */
  follow(name) {
    return this.click(this.page.getByRole('link', { name, exact: true }).first());
  }

  /** What has the keyboard: its tag, and its words, value or name. */
  focused() {
    return this.page.evaluate(() => {
      const it = document.activeElement;
      return `${it.localName}:${it.value || it.innerText || it.name}`;
    });
  }

  /** Waits until the page has given the keyboard to this: it does so some time after it was loaded. */
  async hasKeyboard(wanted) {
    let seen;
    await until(`${wanted} has the keyboard`, async () => {
      seen = await this.focused();
      return wanted.test(seen);
    });
    return seen;
  }

  /** What the page says, as a person reads it. */
  async text() {
    return (await this.page.locator('body').innerText()).replace(/\s+/g, ' ');
  }

  /**
   * Takes a picture for people to look at, and has axe find nothing on the page, or `within` a part of it where the
   * rest is others'; it must also fit its width, and on a phone the width of a smaller one, else a zoomed window's.
   */
  async lookAt(name, { within } = {}) {
    mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SHOTS, `${name}-${this.look}.png`), fullPage: true });
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(
      ([part, rules]) => globalThis.axe.run(part ?? document, rules), [within, RULES],
    );
    const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`);
    assert.deepEqual(told, [], `${name} (${this.look})`);
    const size = this.page.viewportSize();
    for (const width of [size.width, size.width < 500 ? SMALLEST : ZOOMED]) {
      await this.page.setViewportSize({ ...size, width });
      const overflow = await this.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${name} (${this.look}) is ${overflow} px wider than a screen of ${width} px`);
    }
    await this.page.setViewportSize(size);
  }
}

/** Runs a journey at every size, and once in dark colours. */
export async function everywhere(journey) {
  for (const look of [{ size: 'desktop' }, { size: 'phone' }, { size: 'phone', dark: true }]) {
    const person = await Person.open(look);
    try {
      await journey(person, look);
    } finally {
      await person.close();
    }
  }
}
