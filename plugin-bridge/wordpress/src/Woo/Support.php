<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Woo;

use Counterfoil\WordPress\Payments\Links;

defined('ABSPATH') || exit;

/** What hangs on WooCommerce's hooks. Without WooCommerce none of them is fired, so nothing of this folder runs. */
final class Support
{
    public static function start(string $file): void
    {
        add_action('before_woocommerce_init', static function () use ($file): void {
            if (class_exists('Automattic\\WooCommerce\\Utilities\\FeaturesUtil')) {
                foreach (['custom_order_tables', 'cart_checkout_blocks'] as $feature) {
                    \Automattic\WooCommerce\Utilities\FeaturesUtil::declare_compatibility($feature, $file, true);
                }
            }
        });
        add_filter('woocommerce_payment_gateways', static function ($gateways) {
            $gateways[] = Gateway::class;
            return $gateways;
        });
        add_action('woocommerce_blocks_payment_method_type_registration', static function ($registry): void {
            $registry->register(new CheckoutBlock());
        });
        add_action('woocommerce_thankyou_' . Orders::GATEWAY, [Orders::class, 'payerIsBack']);
        add_action(Links::CHANGED, static function ($record): void {
            if (function_exists('wc_get_order')) {
                Orders::settle($record);
            }
        });
    }
}
