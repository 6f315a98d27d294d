<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Woo;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Check;
use Counterfoil\WordPress\Connection;

defined('ABSPATH') || exit;

/** The way to pay that the checkout offers: to the payment platform and back. */
final class Gateway extends \WC_Payment_Gateway
{
    public function __construct()
    {
        $this->id = Orders::GATEWAY;
        $this->has_fields = false;
        $this->method_title = __('Counterfoil', 'counterfoil');
        $this->method_description = __('Your customers pay at your payment platform. The connection is looked after in Counterfoil → Connection.', 'counterfoil');
        $this->supports = ['products'];
        $this->init_form_fields();
        $this->init_settings();
        $this->title = $this->get_option('title');
        $this->description = $this->get_option('description');
        add_action('woocommerce_update_options_payment_gateways_' . $this->id, [$this, 'process_admin_options']);
    }

    /** What the shop may set. */
    public function init_form_fields()
    {
        $this->form_fields = [
            'enabled' => [
                'title' => __('Offered', 'counterfoil'),
                'type' => 'checkbox',
                'label' => __('Offer this way to pay in the checkout', 'counterfoil'),
                'default' => 'no',
            ],
            'title' => [
                'title' => __('Title', 'counterfoil'),
                'type' => 'text',
                'default' => __('Pay online', 'counterfoil'),
            ],
            'description' => [
                'title' => __('Description', 'counterfoil'),
                'type' => 'textarea',
                'default' => __('You are sent to our payment platform, and then back to us.', 'counterfoil'),
            ],
        ];
    }

    /** Offered where a company is confirmed and the last check found no trouble; the daemon is not asked for it. */
    public function is_available()
    {
        return parent::is_available() && Connection::confirmedCompany() !== '' && Check::trouble() === null;
    }

    /**
     * Makes the order's payment link, once, and sends the payer there.
     *
     * @param  int $order_id
     * @return array<string, string>
     */
    public function process_payment($order_id)
    {
        $order = wc_get_order($order_id);
        if (!$order instanceof \WC_Order) {
            return ['result' => 'failure'];
        }
        try {
            return ['result' => 'success', 'redirect' => Orders::pay($order)->url];
        } catch (CounterfoilException $problem) {
            // A customer is not told of daemons; the reference is for the shop.
            wc_get_logger()->error('no payment link: ' . $problem->problemCode(), ['source' => 'counterfoil']);
            /* translators: %s: a short code */
            $message = __('This way to pay does not work at the moment. Please try again, or choose another. (%s)', 'counterfoil');
            wc_add_notice(sprintf($message, esc_html($problem->problemCode())), 'error');
            return ['result' => 'failure'];
        }
    }
}
