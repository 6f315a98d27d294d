<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Payments\Links;

defined('ABSPATH') || exit;

/**
 * The address of notifications about payments. Whether one is genuine is for the daemon to say, by the raw body; the
 * sender is told 200 only when what it says is written down.
 */
final class Webhook
{
    public const ROUTE = '/counterfoil/v1/webhook';

    /** The daemon takes no larger one. */
    private const LARGEST = 262144;

    public static function register(): void
    {
        register_rest_route('counterfoil/v1', '/webhook', [
            'methods' => 'POST',
            'callback' => [self::class, 'take'],
            // Anybody may knock: the signature, which the daemon verifies, says who it is.
            'permission_callback' => '__return_true',
        ]);
    }

    public static function take(\WP_REST_Request $request): \WP_REST_Response
    {
        $body = $request->get_body();
        if (strlen($body) > self::LARGEST) {
            return self::answer(413, 'body_too_large');
        }
        $headers = [];
        foreach ($request->get_headers() as $name => $values) {
            $headers[str_replace('_', '-', $name)] = array_values($values);
        }
        try {
            $genuine = Daemon::client()->verifyWebhook($headers, $body);
            $event = is_array($genuine['event'] ?? null) ? $genuine['event'] : [];
            $link = is_array($event['paymentLink'] ?? null) ? $event['paymentLink'] : [];
            $session = is_array($event['session'] ?? null) ? $event['session'] : [];
            if (is_string($event['status'] ?? null)) {
                $session['status'] = $event['status'];
            }
            // The time of the event, not of the payment's last change: it orders the notifications.
            unset($session['updatedAt']);
            $uid = is_string($link['uid'] ?? null) ? $link['uid'] : '';
            $at = is_string($event['createdAt'] ?? null) ? $event['createdAt'] : '';
            $delivery = is_string($event['deliveryGroupId'] ?? null) ? $event['deliveryGroupId'] : '';
            Links::hear($uid, $link, $session, $at, $delivery);
            return self::answer(200, 'received');
        } catch (CounterfoilException $problem) {
            $status = $problem->status();
            return self::answer($status >= 400 ? $status : 503, $problem->problemCode(), $problem->retryAfter());
        } catch (\Throwable $failure) {
            return self::answer(503, 'not_written_down', 60);
        }
    }

    private static function answer(int $status, string $code, ?int $retryAfter = null): \WP_REST_Response
    {
        $response = new \WP_REST_Response(['code' => $code], $status);
        $response->header('Cache-Control', 'no-store');
        if ($status === 503) {
            $response->header('Retry-After', (string) ($retryAfter ?? 60));
        }
        return $response;
    }
}
