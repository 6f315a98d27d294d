<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Admin;

use Counterfoil\WordPress\Attempt;
use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Check;
use Counterfoil\WordPress\Daemon;
use Counterfoil\WordPress\Plugin;

defined('ABSPATH') || exit;

/**
 * The registered address that the platform sends the merchant back to. It shows nothing: whatever comes, the browser is
 * sent on, so that neither code nor state stays in its address bar. The state, not a WordPress nonce, says that the
 * attempt is this person's.
 */
final class Callback
{
    public static function handle(): void
    {
        if (!current_user_can(Plugin::CAPABILITY)) {
            wp_die(
                esc_html__('You may not connect this store to a payment platform. Nothing has changed.', 'counterfoil'),
                '',
                ['response' => 403]
            );
        }
        try {
            $connection = Daemon::client()->callback(self::query(), Attempt::current());
            Check::forget();
            $company = $connection['company']['name'] ?? $connection['company']['id'] ?? '';
            /* translators: %s: a company's name */
            $message = __('The payment platform has connected this store to %s.', 'counterfoil');
            Notice::done(sprintf($message, is_string($company) ? $company : '') . self::tried());
        } catch (CounterfoilException $problem) {
            Notice::failed($problem);
        }
        wp_safe_redirect(Menu::url());
        exit;
    }

    /** One call right away, so that "connected" is not a promise. Nothing is said where it failed: the button says why. */
    private static function tried(): string
    {
        try {
            Daemon::client()->request('GET', 'makepay/payment-links?limit=1', null, null, 20.0);
            return ' ' . __('A test call worked.', 'counterfoil');
        } catch (CounterfoilException $problem) {
            return '';
        }
    }

    /** Nobody is signed in: the code is left unused, and the person may sign in and begin again. */
    public static function signedOut(): void
    {
        wp_safe_redirect(wp_login_url(Menu::url() . '&signed_out=1'));
        exit;
    }

    /** What stands behind the `?`, as it came: the daemon reads it, unchanged. */
    private static function query(): string
    {
        // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- the daemon checks the raw query; it is shown nowhere.
        $query = isset($_SERVER['QUERY_STRING']) ? $_SERVER['QUERY_STRING'] : '';
        return is_string($query) && strlen($query) <= 16384 ? $query : '';
    }
}
