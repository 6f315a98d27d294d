<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Woo;

use Automattic\WooCommerce\Blocks\Payments\Integrations\AbstractPaymentMethodType;
use Counterfoil\WordPress\Plugin;

defined('ABSPATH') || exit;

/** The same way to pay in the checkout that is made of blocks. */
final class CheckoutBlock extends AbstractPaymentMethodType
{
    /** @var string */
    protected $name = Orders::GATEWAY;

    private ?Gateway $gateway = null;

    public function initialize()
    {
        $this->settings = get_option('woocommerce_' . Orders::GATEWAY . '_settings', []);
        $this->gateway = new Gateway();
    }

    public function is_active()
    {
        return $this->gateway !== null && $this->gateway->is_available();
    }

    /** @return list<string> */
    public function get_payment_method_script_handles()
    {
        $needs = ['wc-blocks-registry', 'wc-settings', 'wp-element', 'wp-html-entities'];
        wp_register_script('counterfoil-checkout', Plugin::url('assets/checkout.js'), $needs, \Counterfoil\WordPress\VERSION, true);
        return ['counterfoil-checkout'];
    }

    /** @return array<string, mixed> */
    public function get_payment_method_data()
    {
        // The gateway's own texts: the settings have none before they are saved for the first time.
        $gateway = $this->gateway ?? new Gateway();
        return ['title' => $gateway->title, 'description' => $gateway->description, 'supports' => $gateway->supports];
    }
}
