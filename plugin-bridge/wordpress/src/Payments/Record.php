<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Payments;

defined('ABSPATH') || exit;

/** What this site knows of one payment. What it asks for is never changed once it stands. */
final class Record
{
    /** How many deliveries are remembered. */
    private const DELIVERIES = 20;

    public int $id = 0;
    /** Its random name, from which the idempotency key is made. */
    public string $request = '';
    public string $amount = '';
    public string $currency = '';
    public string $description = '';
    /** The order of WooCommerce that it is for; 0 where there is none. */
    public int $order = 0;
    public string $email = '';
    public string $returnUrl = '';
    /** The platform's name of the link; empty until it has one. */
    public string $uid = '';
    public string $url = '';
    /** The company that gets paid. */
    public string $company = '';
    public bool $archived = false;
    /** Where the payment stands; empty before anybody tried to pay. */
    public string $status = '';
    /** When that was so, by the platform's clock (RFC 3339). */
    public string $at = '';
    /** Whether the platform told of another amount or currency than was asked for. */
    public bool $mismatch = false;
    /** What of it an order was changed by, so that this happens once. */
    public string $settled = '';
    /** @var list<string> */
    public array $deliveries = [];
    /** When it was made here. */
    public int $made = 0;

    /** The key that makes one link of however many tries. */
    public function idempotencyKey(): string
    {
        return 'wordpress-' . $this->request;
    }

    /** The name by which the platform knows it: the order's number, or this payment's own. */
    public function orderId(): string
    {
        return (string) ($this->order !== 0 ? $this->order : $this->id);
    }

    /** Whether somebody may still pay it. */
    public function isOpen(): bool
    {
        return $this->uid !== '' && !$this->archived && !$this->mismatch && !Progress::isFinal($this->status);
    }

    /** Whether this delivery was taken before; remembers it. */
    public function hasTaken(string $delivery): bool
    {
        if ($delivery === '') {
            return false;
        }
        $taken = in_array($delivery, $this->deliveries, true);
        if (!$taken) {
            $this->deliveries = array_slice(array_merge($this->deliveries, [$delivery]), -self::DELIVERIES);
        }
        return $taken;
    }

    /**
     * Takes over what the platform says of the link, if it is the one that was asked for.
     *
     * @param  array<string, mixed> $link
     * @return bool whether anything has changed
     */
    public function learn(array $link, string $status, string $at): bool
    {
        $before = [$this->archived, $this->mismatch, $this->status, $this->at];
        if (!$this->matches($link)) {
            $this->mismatch = true;
        } else {
            $this->archived = $this->archived || ($link['status'] ?? '') === 'archived';
            if (Progress::counts($this->status, $this->at, $status, $at)) {
                $this->status = $status;
                $this->at = $at;
            }
        }
        return $before !== [$this->archived, $this->mismatch, $this->status, $this->at];
    }

    /**
     * Whether a link asks for exactly what this payment asks for. What was sent as `orderId` is `orderId` in the platform's
     * answers, and `merchantOrderId` in its notifications.
     *
     * @param array<string, mixed> $link
     */
    public function matches(array $link): bool
    {
        $currency = $link['fiatCurrency'] ?? $link['currency'] ?? '';
        $order = $link['orderId'] ?? $link['merchantOrderId'] ?? $this->orderId();
        return $order === $this->orderId() && Amount::same($link['amount'] ?? $link['fiatAmount'] ?? null, $this->amount)
            && is_string($currency) && strtoupper($currency) === $this->currency;
    }
}
