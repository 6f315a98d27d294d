// Other languages, and other directions.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { look, merchant, shop } from '../lib/merchant.mjs';

export function languages() {
  it('reads from right to left where the language does', async () => {
    await shop.rightToLeft(true);
    for (const page of ['counterfoil', 'counterfoil-payments']) {
      await merchant.goTo(shop.screen(page));
      assert.equal(await merchant.page.evaluate(() => getComputedStyle(document.body).direction), 'rtl');
      await look(`${page}-rtl`);
    }
    await shop.rightToLeft(false);
  });

  it('speaks the language that it is translated into', async () => {
    await shop.translate();
    for (const page of ['counterfoil', 'counterfoil-payments']) {
      await merchant.goTo(shop.screen(page));
      const words = await merchant.page.locator('.counterfoil').locator('h1, h2, th[scope=col], .counterfoil-facts th, label, p.description, li, button').allInnerTexts();
      assert.ok(words.length > 10, `${words.length} texts`);
      assert.deepEqual(words.filter((text) => text.trim() !== '' && !/«.*»/s.test(text)), [], page);
    }
    await shop.translate(false);
  });
}
