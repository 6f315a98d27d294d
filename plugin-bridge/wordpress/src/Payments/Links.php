<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Payments;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Bridge\Exception\PlatformRefused;
use Counterfoil\WordPress\Bridge\Exception\TryLater;
use Counterfoil\WordPress\Connection;
use Counterfoil\WordPress\Daemon;

defined('ABSPATH') || exit;

/** Payment links at the platform, through the daemon, and what this site writes down of them. */
final class Links
{
    /**
     * Fired when a payment's record has changed, and again at each repeated notification: do a thing once, by what is
     * already done, not by how often this comes.
     */
    public const CHANGED = 'counterfoil_payment_changed';

    private const PATH = 'makepay/payment-links';

    /**
     * Makes the link of a payment, once, however often it is tried. The payment is written down first: a lost answer
     * leaves it in the list, to be tried again.
     *
     * @param  float $seconds wait at most so long for the platform
     * @throws CounterfoilException
     */
    public static function open(Record $record, float $seconds = 30.0): void
    {
        if ($record->uid !== '') {
            return;
        }
        $company = Connection::read()->payee();
        Records::save($record);
        $payload = array_filter([
            'amount' => $record->amount,
            'fiatCurrency' => $record->currency,
            'orderId' => $record->orderId(),
            'description' => $record->description,
            'customerEmail' => $record->email,
            'returnUrl' => $record->returnUrl,
            'successUrl' => $record->returnUrl,
            'failureUrl' => $record->returnUrl,
        ], 'strlen') + ['metadata' => ['source' => 'counterfoil-wordpress', 'payment' => (string) $record->id]];
        try {
            $answer = Daemon::client()->request('POST', self::PATH, compact('payload'), $record->idempotencyKey(), $seconds);
        } catch (PlatformRefused $refusal) {
            if (in_array($refusal->status(), [400, 422], true)) {
                Records::drop($record);
            }
            throw $refusal;
        }
        $told = $answer->json();
        $link = is_array($told) && is_array($told['paymentLink'] ?? null) ? $told['paymentLink'] : [];
        $url = $link['publicUrl'] ?? '';
        $paid = is_array($told) ? ($told['companyId'] ?? $company) : $company;
        if (!is_string($link['uid'] ?? null) || !is_string($url) || !self::isAddress($url) || !$record->matches($link)) {
            throw new TryLater('link_unusable', __('The payment platform answered a payment link that is not the one that was asked for.', 'counterfoil'));
        }
        if ($paid !== $company) {
            throw new TryLater('company_changed', __('The store was connected to another company in this moment; nothing was taken.', 'counterfoil'));
        }
        $record->uid = $link['uid'];
        $record->url = $url;
        $record->company = $company;
        Records::save($record);
    }

    /** Puts a link away, so that it cannot be paid any more. */
    public static function archive(Record $record): void
    {
        if ($record->uid !== '') {
            try {
                Daemon::client()->request('PATCH', self::path($record), ['status' => 'archived']);
            } catch (PlatformRefused $refusal) {
                $answer = $refusal->answer();
                $told = $answer === null ? null : $answer->json();
                if (!is_array($told) || ($told['errorCode'] ?? '') !== 'payment_link_already_archived') {
                    throw $refusal;
                }
            }
        }
        $record->archived = true;
        Records::save($record);
    }

    /** Asks the platform how a payment stands, since notifications get lost. */
    public static function refresh(Record $record, float $seconds = 20.0): void
    {
        if ($record->uid === '') {
            return;
        }
        $told = Daemon::client()->request('GET', self::path($record), null, null, $seconds)->json();
        $link = is_array($told) && is_array($told['paymentLink'] ?? null) ? $told['paymentLink'] : [];
        $session = is_array($link['latestSession'] ?? null) ? $link['latestSession'] : [];
        if (($link['uid'] ?? '') === $record->uid) {
            self::hear($record->uid, $link, $session, (string) ($link['updatedAt'] ?? ''), '');
        }
    }

    /**
     * Takes in what the platform says of a payment, by a notification or an answer.
     *
     * @param  array<string, mixed> $link
     * @param  array<string, mixed> $session
     * @return bool whether there is such a payment here; what it says is written down then
     * @throws TryLater where somebody else changes it right now
     */
    public static function hear(string $uid, array $link, array $session, string $at, string $delivery): bool
    {
        if (Records::byUid($uid) === null) {
            return false;
        }
        $done = Records::alone($uid, static function () use ($uid, $link, $session, $at, $delivery): void {
            $record = Records::freshByUid($uid);
            if ($record === null) {
                return;
            }
            $status = is_string($session['status'] ?? null) ? $session['status'] : '';
            $time = is_string($session['updatedAt'] ?? null) ? $session['updatedAt'] : $at;
            $again = $record->hasTaken($delivery);
            if ($record->learn($link, $status, $time) || ($delivery !== '' && !$again)) {
                Records::save($record);
            }
            $settled = $record->settled;
            do_action(self::CHANGED, $record);
            if ($record->settled !== $settled) {
                Records::save($record);
            }
        });
        if (!$done) {
            throw new TryLater('payment_busy', 'This payment is being changed by another request.', '', 503, 5);
        }
        return true;
    }

    private static function path(Record $record): string
    {
        return self::PATH . '/' . rawurlencode($record->uid);
    }

    private static function isAddress(string $url): bool
    {
        $scheme = wp_parse_url($url, PHP_URL_SCHEME);
        $host = wp_parse_url($url, PHP_URL_HOST);
        $loopback = in_array($host, ['localhost', '127.0.0.1', '[::1]'], true);
        return is_string($host) && ($scheme === 'https' || ($scheme === 'http' && $loopback));
    }
}
