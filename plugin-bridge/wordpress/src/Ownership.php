<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;

defined('ABSPATH') || exit;

/**
 * Where the platform asks whether this address is the store's that wants to be connected. The daemon answers with the
 * store's key, and only for its own store; whoever else asks is told nothing.
 */
final class Ownership
{
    public static function register(): void
    {
        register_rest_route('counterfoil/v1', '/challenge', [
            'methods' => 'GET',
            'callback' => [self::class, 'answer'],
            // The platform asks without signing in, as it must: it does not know this site yet.
            'permission_callback' => '__return_true',
        ]);
    }

    public static function answer(\WP_REST_Request $request): \WP_REST_Response
    {
        [$nonce, $client] = [$request->get_param('nonce'), $request->get_param('client_id')];
        $proof = '';
        if (is_string($nonce) && is_string($client) && self::isOnce('nonce') && self::isOnce('client_id')) {
            try {
                $proof = Daemon::client()->ownership($nonce, $client)['proof'] ?? '';
            } catch (CounterfoilException $problem) {
                $proof = '';
            }
        }
        $found = is_string($proof) && $proof !== '';
        $response = new \WP_REST_Response($found ? ['proof' => $proof] : ['code' => 'not_found'], $found ? 200 : 404);
        $response->header('Cache-Control', 'no-store');
        return $response;
    }

    /** Whether the query has a parameter exactly once: of two, PHP shows the last. */
    private static function isOnce(string $name): bool
    {
        // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- it is only counted in.
        $query = isset($_SERVER['QUERY_STRING']) ? (string) $_SERVER['QUERY_STRING'] : '';
        return preg_match_all('/(?:^|&)' . $name . '(?:=|&|%5B|\[|\z)/i', $query) === 1;
    }
}
