<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Admin;

use Counterfoil\WordPress\Attempt;
use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Bridge\Exception\TryLater;
use Counterfoil\WordPress\Check;
use Counterfoil\WordPress\Connection;
use Counterfoil\WordPress\Daemon;
use Counterfoil\WordPress\Payments\Amount;
use Counterfoil\WordPress\Payments\Links;
use Counterfoil\WordPress\Payments\Records;
use Counterfoil\WordPress\Plugin;

defined('ABSPATH') || exit;

/** What the forms of the plugin's screens post. Each is asked for right and nonce before anything happens. */
final class Actions
{
    private const CONNECTION = ['connect', 'confirm', 'disconnect', 'test', 'settings'];
    private const PAYMENTS = ['create', 'archive', 'refresh'];

    /** So many seconds the second press of a button waits for the first. */
    private const PATIENCE = 35.0;

    /** Makes each a target of admin-post.php. */
    public static function register(): void
    {
        foreach ([Menu::CONNECTION => self::CONNECTION, Menu::PAYMENTS => self::PAYMENTS] as $page => $actions) {
            foreach ($actions as $action) {
                add_action('admin_post_counterfoil_' . $action, static function () use ($action, $page): void {
                    self::guard($action);
                    try {
                        $away = self::{$action}();
                    } catch (CounterfoilException $problem) {
                        Notice::failed($problem);
                        $away = null;
                    }
                    wp_safe_redirect($away ?? Menu::url($page));
                    exit;
                });
            }
        }
    }

    /** The beginning of a form: where it goes, what it does, and that it is ours. */
    public static function form(string $action, string $class = ''): void
    {
        $to = admin_url('admin-post.php');
        printf('<form method="post" action="%s" class="%s">', esc_url($to), esc_attr($class));
        printf('<input type="hidden" name="action" value="%s">', esc_attr('counterfoil_' . $action));
        wp_nonce_field('counterfoil_' . $action, '_wpnonce', false);
    }

    private static function guard(string $action): void
    {
        $method = isset($_SERVER['REQUEST_METHOD']) ? sanitize_text_field(wp_unslash($_SERVER['REQUEST_METHOD'])) : '';
        check_admin_referer('counterfoil_' . $action);
        if ($method !== 'POST' || !current_user_can(Plugin::CAPABILITY)) {
            wp_die(esc_html__('You may not do this.', 'counterfoil'), '', ['response' => 403]);
        }
    }

    /** A field of the form that was posted; its nonce was checked before. */
    private static function field(string $name): string
    {
        // phpcs:ignore WordPress.Security.NonceVerification.Missing -- guard() has checked it.
        return isset($_POST[$name]) ? sanitize_text_field(wp_unslash($_POST[$name])) : '';
    }

    private static function connect(): string
    {
        $url = Attempt::open();
        $host = (string) wp_parse_url($url, PHP_URL_HOST);
        add_filter('allowed_redirect_hosts', static function (array $hosts) use ($host): array {
            return array_merge($hosts, [$host]);
        });
        return $url;
    }

    private static function confirm(): void
    {
        $shown = self::field('company');
        $connection = Connection::read();
        if ($connection->state() !== 'connected' || $connection->text('company', 'id') !== $shown || $shown === '') {
            Notice::refused(__('The company has changed in the meantime. Look at it again.', 'counterfoil'));
            return;
        }
        Connection::confirm($shown);
        /* translators: %s: a company's name */
        Notice::done(sprintf(__('Payments go to %s from now on.', 'counterfoil'), $connection->companyName()));
    }

    private static function disconnect(): void
    {
        $answer = Daemon::client()->disconnect();
        Attempt::forget();
        delete_option('counterfoil_confirmed');
        Check::forget();
        if (!empty($answer['pending'])) {
            Notice::refused((string) ($answer['summary'] ?? ''), (string) ($answer['next_step'] ?? ''));
            return;
        }
        Notice::done(__('This store is disconnected. No payment can be taken until it is connected again.', 'counterfoil'));
    }

    private static function test(): void
    {
        $began = microtime(true);
        Daemon::client()->request('GET', 'makepay/payment-links?limit=1', null, null, 20.0);
        Check::forget();
        $took = number_format_i18n((microtime(true) - $began) * 1000);
        /* translators: %s: a number of milliseconds */
        Notice::done(sprintf(__('The test call worked: the payment platform answered in %s ms.', 'counterfoil'), $took));
    }

    private static function settings(): void
    {
        if (!Daemon::mayBeMoved()) {
            Notice::refused(__('Where the daemon is can be changed by the host alone.', 'counterfoil'));
            return;
        }
        $socket = self::field('socket');
        if ($socket !== '' && !Daemon::isSocketPath($socket)) {
            Notice::refused(__('A socket\'s path begins with / and has at most 107 characters.', 'counterfoil'));
            return;
        }
        update_option('counterfoil_socket', $socket === Daemon::USUAL_SOCKET ? '' : $socket, false);
        Notice::done(__('Saved.', 'counterfoil'));
    }

    private static function create(): void
    {
        $amount = Amount::parse(self::field('amount'));
        $currency = strtoupper(self::field('currency'));
        if ($amount === null) {
            Notice::refused(__('An amount is a positive number such as 19.90.', 'counterfoil'));
            return;
        }
        if (preg_match('/^[A-Z]{3}\z/', $currency) !== 1) {
            Notice::refused(__('A currency has three letters, such as EUR.', 'counterfoil'));
            return;
        }
        // Kept as it was written: what shows it escapes it.
        $description = wp_specialchars_decode(self::field('description'), ENT_QUOTES);
        $request = self::field('request');
        // A button that is pressed twice is one request: the second waits, and finds what the first made.
        $done = Records::alone('request-' . $request, static function () use ($request, $amount, $currency, $description): void {
            Links::open(Records::prepare($request, $amount, $currency, $description));
        }, self::PATIENCE);
        if (!$done) {
            throw new TryLater('payment_busy', __('This payment link is being made by another window.', 'counterfoil'), '', 503, 5);
        }
        Notice::done(__('The payment link is ready: send it, or put it on a page.', 'counterfoil'));
    }

    private static function archive(): void
    {
        $record = Records::byId((int) self::field('payment'));
        if ($record === null) {
            Notice::refused(__('There is no such payment.', 'counterfoil'));
            return;
        }
        Links::archive($record);
        Notice::done(__('The payment link is archived; it cannot be paid any more.', 'counterfoil'));
    }

    private static function refresh(): void
    {
        $record = Records::byId((int) self::field('payment'));
        if ($record === null) {
            Notice::refused(__('There is no such payment.', 'counterfoil'));
            return;
        }
        Links::refresh($record);
        Notice::done(__('The payment\'s status is up to date.', 'counterfoil'));
    }
}
