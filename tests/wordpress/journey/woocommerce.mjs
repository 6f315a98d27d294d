// Orders of WooCommerce, which is played.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { daemon, land, shop } from '../lib/merchant.mjs';

const PLAYED = fileURLToPath(new URL('../../../plugin-bridge/wordpress/tests/played-woocommerce.php', import.meta.url));
const BLOCKS = fileURLToPath(new URL('../../../plugin-bridge/wordpress/tests/played-blocks.php', import.meta.url));

export function woocommerce() {
  it('declares to WooCommerce what it goes together with, and is in both checkouts', async () => {
    const told = await shop.php(`require ${JSON.stringify(PLAYED)}; require ${JSON.stringify(BLOCKS)};
      $registry = new class { public array $names = []; public function register($type) {
        $type->initialize();
        $this->names[$type->get_name()] = [$type->is_active(), $type->get_payment_method_script_handles(), $type->get_payment_method_data()];
      } };
      do_action("before_woocommerce_init");
      do_action("woocommerce_blocks_payment_method_type_registration", $registry);
      echo wp_json_encode([Automattic\\WooCommerce\\Utilities\\FeaturesUtil::$declared, apply_filters("woocommerce_payment_gateways", []), $registry->names,
        wp_scripts()->query("counterfoil-checkout")->deps]);`);
    const [declared, gateways, { counterfoil: [active, handles, data] }, needs] = JSON.parse(told);
    const ours = ['counterfoil.php', true];
    assert.deepEqual([declared, gateways], [{ custom_order_tables: ours, cart_checkout_blocks: ours }, ['Counterfoil\\WordPress\\Woo\\Gateway']]);
    assert.deepEqual([active, handles, data.title, data.supports], [true, ['counterfoil-checkout'], 'Pay online', ['products']]);
    assert.deepEqual(needs, ['wc-blocks-registry', 'wc-settings', 'wp-element', 'wp-html-entities']);
  });

  it('has an order of WooCommerce paid, by one link however often it is tried', async () => {
    // WooCommerce is in no registry: its order and the base of its gateways are played, all else is real.
    const woo = (code) => shop.php(`require ${JSON.stringify(PLAYED)};
      $order = WC_Order::$all[12] = new WC_Order(); $gateway = new Counterfoil\\WordPress\\Woo\\Gateway(); ${code}`);
    const pay = 'echo wp_json_encode([$gateway->is_available(), $gateway->process_payment(12), $order->meta]);';
    const [available, { result, redirect }, meta] = JSON.parse(await woo(pay));
    assert.deepEqual([available, result], [true, 'success']);
    assert.deepEqual(JSON.parse(await woo(pay)), [available, { result, redirect }, meta]);
    const { _counterfoil_uid: uid } = meta;
    assert.ok(redirect.endsWith(`/payment/${uid}`), redirect);
    const { json: { paymentLink } } = await daemon.local('GET', `/v1/api/makepay/payment-links/${uid}`);
    assert.deepEqual([paymentLink.amount, paymentLink.fiatCurrency, paymentLink.orderId], ['19.90', 'EUR', '12']);
    await land.server.operator(['payment-link', 'set-status', uid, 'complete']);
    // A payer does not wait for a platform that is slow: the page is loaded again then, and once more than needed.
    const back = `$order->meta["_counterfoil_uid"] = "${uid}"; $loads = 0; do { $paid = $order->is_paid();
      Counterfoil\\WordPress\\Woo\\Orders::payerIsBack(12); } while (!$paid && ++$loads < 20); echo implode(" ", $order->done);`;
    assert.equal(await woo(back), `paid ${uid}`);
    const changed = '$order->total = "20.00"; echo wp_json_encode([$gateway->process_payment(12), $order->meta]);';
    const [dearer, { _counterfoil_uid: other }] = JSON.parse(await woo(changed));
    assert.equal(dearer.result, 'success');
    assert.notEqual(other, uid);
  });
}
