<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Client;
use Counterfoil\WordPress\Bridge\Door;
use Counterfoil\WordPress\Bridge\Site;

defined('ABSPATH') || exit;

/** Where this site's daemon is, and how this site says which one it is. */
final class Daemon
{
    /** Where the daemon usually listens. */
    public const USUAL_SOCKET = '/run/counterfoil/api.sock';

    /** The name of the path that a callback comes back to; the store's file must have the same. */
    public const CALLBACK = 'counterfoil_callback';

    /** A client that says with every call which site this is. */
    public static function client(): Client
    {
        $site = new Site((string) get_option('home'), get_current_blog_id(), ABSPATH);
        return new Client('counterfoil-wordpress/' . VERSION, Door::socket(self::socket()), $site);
    }

    /** The socket's path: wp-config.php's, this site's setting, or the usual one. */
    public static function socket(): string
    {
        if (self::isFixed()) {
            return (string) constant('COUNTERFOIL_SOCKET');
        }
        $set = get_option('counterfoil_socket', '');
        return is_string($set) && $set !== '' ? $set : self::USUAL_SOCKET;
    }

    /** Whether wp-config.php says where the socket is. */
    public static function isFixed(): bool
    {
        return defined('COUNTERFOIL_SOCKET') && is_string(constant('COUNTERFOIL_SOCKET'));
    }

    /** Whether this person may say where it is: in a network, its administrator alone. */
    public static function mayBeMoved(): bool
    {
        return !self::isFixed() && (!is_multisite() || current_user_can('manage_network_options'));
    }

    /** Whether this is the path of a socket: absolute, and as long as Linux takes one. */
    public static function isSocketPath(string $path): bool
    {
        return strlen($path) <= 107 && preg_match('#^/[\x21-\x7e]+\z#', $path) === 1 && strpos($path, '/../') === false;
    }

    /** The address that the platform sends the merchant back to. */
    public static function callbackUrl(): string
    {
        return admin_url('admin-post.php?action=' . self::CALLBACK);
    }

    /** The address of notifications: the same with every setting of permalinks. */
    public static function webhookUrl(): string
    {
        return get_option('home') . '/?rest_route=' . Webhook::ROUTE;
    }

    /** The store's file for this site, but for the platform's address. */
    public static function storeFile(): string
    {
        $lines = [
            'platform = "wordpress"',
            'site_url = ' . self::toml((string) get_option('home')),
            'redirect_uri = ' . self::toml(self::callbackUrl()),
            'webhook_url = ' . self::toml(self::webhookUrl()),
            'plugin_version = ' . self::toml(VERSION),
            'platform_version = ' . self::toml((string) get_bloginfo('version')),
            'issuer = "https://…"    # ' . __('your payment platform\'s address', 'counterfoil'),
            '',
            '[local]',
            'socket = ' . self::toml(self::socket()),
            'allow_users = [' . self::toml(self::systemUser()) . ']',
        ];
        return implode("\n", $lines) . "\n";
    }

    /** The user that PHP runs as. */
    public static function systemUser(): string
    {
        $user = function_exists('posix_geteuid') ? posix_getpwuid(posix_geteuid()) : false;
        return is_array($user) ? $user['name'] : 'www-data';
    }

    private static function toml(string $text): string
    {
        return (string) wp_json_encode($text, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
    }
}
