<?php

// The little of WordPress and WooCommerce that an order is settled with.

declare(strict_types=1);

function __(string $text, string $domain): string
{
    return $text;
}

function get_option(string $name, $default = false)
{
    return $GLOBALS['options'][$name] ?? $default;
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

    public function get_id(): int
    {
        return 12;
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

    public function payment_complete(string $transaction): void
    {
        $this->done[] = "paid $transaction";
        [$this->status, $this->transaction] = ['processing', $transaction];
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
