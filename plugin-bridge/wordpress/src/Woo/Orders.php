<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Woo;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Bridge\Exception\PlatformRefused;
use Counterfoil\WordPress\Bridge\Exception\TryLater;
use Counterfoil\WordPress\Connection;
use Counterfoil\WordPress\Payments\Amount;
use Counterfoil\WordPress\Payments\Links;
use Counterfoil\WordPress\Payments\Record;
use Counterfoil\WordPress\Payments\Records;
use Counterfoil\WordPress\Words;

defined('ABSPATH') || exit;

/** An order's payment link, and what news about it makes of the order. */
final class Orders
{
    /** The name of the way to pay. */
    public const GATEWAY = 'counterfoil';

    /** On the order: the link that it is paid by. */
    public const UID = '_counterfoil_uid';

    /** A payer does not wait longer for a link than this. */
    private const SECONDS = 20.0;

    /**
     * The payment of an order, with its link: the one that it has, where that asks for the same still.
     *
     * @throws CounterfoilException
     */
    public static function pay(\WC_Order $order): Record
    {
        $paid = null;
        $done = Records::alone('order-' . $order->get_id(), static function () use ($order, &$paid): void {
            $record = Records::byOrder($order->get_id());
            if ($record !== null && !self::asksForTheSame($record, $order)) {
                self::putAway($record);
                $record = null;
            }
            $record = $record ?? self::record($order);
            Links::open($record, self::SECONDS);
            $order->update_meta_data(self::UID, $record->uid);
            $order->save();
            $paid = $record;
        }, self::SECONDS);
        if (!$done || !$paid instanceof Record) {
            throw new TryLater('order_busy', __('This order is being paid in another window.', 'counterfoil'), '', 503, 5);
        }
        return $paid;
    }

    /** What the order's total is, to the digit; null where it is none that can be paid. */
    public static function total(\WC_Order $order): ?string
    {
        $total = $order->get_total('edit');
        // As WooCommerce stores it: a text. A number is made one as WooCommerce makes it.
        return Amount::parse(is_string($total) ? $total : (string) wc_format_decimal($total, wc_get_price_decimals(), false));
    }

    /**
     * News of a payment: does to its order what is not done yet. That it is done is noted in the payment, which nobody else
     * changes meanwhile and which is read anew each time: an order may come from this request's memory.
     */
    public static function settle(Record $record): void
    {
        $now = $record->mismatch ? 'mismatch' : $record->status;
        $order = $record->order === 0 || $record->settled === $now ? null : wc_get_order($record->order);
        if (!$order instanceof \WC_Order) {
            return;
        }
        $ours = $order->get_payment_method() === self::GATEWAY && $order->get_meta(self::UID) === $record->uid;
        $same = !$record->mismatch && self::asksForTheSame($record, $order);
        if ($order->is_paid()) {
            self::afterwards($order, $record, $ours && $order->get_transaction_id() === $record->uid);
        } elseif ($record->mismatch || ($record->status === 'complete' && !($ours && $same))) {
            $note = __('A payment of this order is not what the order asks for, so it was not taken for paid. Look at it at the payment platform.', 'counterfoil');
            $order->update_status('on-hold', $note . ' ' . $record->uid);
        } elseif ($ours) {
            self::move($order, $record);
        }
        $record->settled = $now;
    }

    /** The payer's browser is back: asks how it stands, since the notification may still be on its way, or lost. */
    public static function payerIsBack(int $id): void
    {
        $order = wc_get_order($id);
        $record = Records::byOrder($id);
        if ($record === null || !$order instanceof \WC_Order || $order->is_paid()) {
            return;
        }
        try {
            Links::refresh($record, 5.0);
        } catch (CounterfoilException $problem) {
            // Cron and the notification bring it.
            return;
        }
    }

    /** A link that asks for something else than the order does now. One that is being paid stays, and pays nothing here. */
    private static function putAway(Record $record): void
    {
        try {
            if (!$record->archived) {
                Links::archive($record);
            }
        } catch (PlatformRefused $refusal) {
            return;
        }
    }

    private static function move(\WC_Order $order, Record $record): void
    {
        $words = __('Counterfoil:', 'counterfoil') . ' ' . Words::payment($record->status);
        switch ($record->status) {
            case 'complete':
                // False where WooCommerce could not write it down. It is told again then, until it can.
                if (!$order->payment_complete($record->uid)) {
                    throw new TryLater('order_unwritten', __('WooCommerce could not write down that this order is paid.', 'counterfoil'), '', 503, 60);
                }
                return;
            case 'pending':
            case 'deposit_received':
            case 'swapping':
            case 'sending':
            case 'underpaid':
                $order->update_status('on-hold', $words);
                return;
            case 'failed':
            case 'expired':
                $order->update_status('failed', $words);
        }
    }

    /** Whatever comes after an order is paid changes nothing; a second payment is told to a person. */
    private static function afterwards(\WC_Order $order, Record $record, bool $paidByThis): void
    {
        if (!$paidByThis && $record->status === 'complete') {
            /* translators: %s: the name of a payment */
            $order->add_order_note(sprintf(__('This order was paid already, and %s was paid as well.', 'counterfoil'), $record->uid));
        }
    }

    private static function asksForTheSame(Record $record, \WC_Order $order): bool
    {
        return Amount::same($record->amount, self::total($order)) && $record->currency === strtoupper($order->get_currency())
            && !$record->archived && ($record->uid === '' || $record->company === Connection::confirmedCompany());
    }

    private static function record(\WC_Order $order): Record
    {
        $total = self::total($order);
        if ($total === null) {
            throw new TryLater('amount_unusable', __('The total of this order cannot be paid this way.', 'counterfoil'));
        }
        /* translators: %s: an order's number */
        $description = sprintf(__('Order %s', 'counterfoil'), $order->get_order_number());
        $record = Records::prepare('', $total, strtoupper($order->get_currency()), $description);
        $record->order = $order->get_id();
        $record->email = (string) $order->get_billing_email();
        $record->returnUrl = $order->get_checkout_order_received_url();
        return $record;
    }
}
