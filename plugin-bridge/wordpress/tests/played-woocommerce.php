<?php

// The little of WordPress and WooCommerce that an order is settled with.

declare(strict_types=1);

if (!function_exists('__')) {
    function __(string $text, string $domain): string
    {
        return $text;
    }

    function get_option(string $name, $default = false)
    {
        return $GLOBALS['options'][$name] ?? $default;
    }
}

function wc_get_order(int $id): ?WC_Order
{
    return WC_Order::$all[$id] ?? null;
}

function wc_get_price_decimals(): int
{
    return 2;
}

function wc_format_decimal($number, int $decimals, bool $trim): string
{
    return number_format((float) $number, $decimals, '.', '');
}

/** An order, and what was done to it. */
class WC_Order
{
    public static array $all = [];
    public string $total = '19.90';
    public string $currency = 'EUR';
    public string $method = 'counterfoil';
    public string $status = 'pending';
    public string $transaction = '';
    public array $meta = [];
    public array $done = [];
    public bool $broken = false;

    public function get_id(): int
    {
        return 12;
    }

    public function get_order_number(): string
    {
        return '12';
    }

    public function get_billing_email(): string
    {
        return 'payer@example.org';
    }

    public function get_checkout_order_received_url(): string
    {
        return 'http://localhost/order-received/12/?key=wc_order_1';
    }

    public function get_total(string $context): string
    {
        return $this->total;
    }

    public function get_currency(): string
    {
        return $this->currency;
    }

    public function get_payment_method(): string
    {
        return $this->method;
    }

    public function get_transaction_id(): string
    {
        return $this->transaction;
    }

    public function get_meta(string $name): string
    {
        return $this->meta[$name] ?? '';
    }

    public function update_meta_data(string $name, string $value): void
    {
        $this->meta[$name] = $value;
    }

    public function save(): void
    {
    }

    public function is_paid(): bool
    {
        return in_array($this->status, ['processing', 'completed'], true);
    }

    /** As WooCommerce's own: false where it could not be written, and nothing happens to an order that waits for no payment. */
    public function payment_complete(string $transaction): bool
    {
        if ($this->broken) {
            return false;
        }
        if (in_array($this->status, ['on-hold', 'pending', 'failed', 'cancelled'], true)) {
            $this->done[] = "paid $transaction";
            [$this->status, $this->transaction] = ['processing', $transaction];
        }
        return true;
    }

    public function update_status(string $status, string $note): void
    {
        $this->done[] = $status;
        $this->status = $status;
    }

    public function add_order_note(string $note): void
    {
        $this->done[] = 'note';
    }
}

/** What a way to pay is made from. */
class WC_Payment_Gateway
{
    public string $id = '';
    public bool $has_fields = false;
    public string $method_title = '';
    public string $method_description = '';
    public string $title = '';
    public string $description = '';
    public array $supports = [];
    public array $form_fields = [];

    public function init_settings(): void
    {
    }

    public function get_option(string $name): string
    {
        return $this->form_fields[$name]['default'];
    }

    public function is_available()
    {
        return true;
    }
}

/** What a customer is told. */
function wc_add_notice(string $text, string $kind): void
{
    $GLOBALS['notices'][] = $text;
}

function wc_get_logger(): object
{
    return new class {
        public function error(string $text, array $context): void
        {
        }
    };
}
