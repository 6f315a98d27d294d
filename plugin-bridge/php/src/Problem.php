<?php

declare(strict_types=1);

namespace Counterfoil;

use Counterfoil\Exception\CallRefused;
use Counterfoil\Exception\ConnectFailed;
use Counterfoil\Exception\CounterfoilException;
use Counterfoil\Exception\DaemonFailed;
use Counterfoil\Exception\NotConnected;
use Counterfoil\Exception\PermissionDenied;
use Counterfoil\Exception\SafeMode;
use Counterfoil\Exception\TryLater;
use Counterfoil\Exception\VersionMismatch;
use Counterfoil\Exception\WebhookRefused;

/** What the daemon's problems mean: for each code, the exception that says what a caller can do. */
final class Problem
{
    private const NAMED = [
        'degraded' => DaemonFailed::class,
        'internal' => DaemonFailed::class,
        'storage_failed' => DaemonFailed::class,
        'config_refused' => DaemonFailed::class,
        'admin_only' => PermissionDenied::class,
        'bearer_mismatch' => PermissionDenied::class,
        'bearer_required' => PermissionDenied::class,
        'browser_refused' => PermissionDenied::class,
        'caller_refused' => PermissionDenied::class,
        'host_refused' => PermissionDenied::class,
        'ownership_refused' => PermissionDenied::class,
        'proofs_disabled' => PermissionDenied::class,
        'steward_only' => PermissionDenied::class,
        'url_refused' => PermissionDenied::class,
        'not_found' => VersionMismatch::class,
        'method_not_allowed' => VersionMismatch::class,
        'client_header_missing' => VersionMismatch::class,
        'registration_identity_mismatch' => SafeMode::class,
        'safe_mode' => SafeMode::class,
        'site_mismatch' => SafeMode::class,
        'site_unknown' => SafeMode::class,
        'approval_withdrawn' => NotConnected::class,
        'key_in_two_places' => NotConnected::class,
        'not_connected' => NotConnected::class,
        'reconnect_required' => NotConnected::class,
        'recovery_capped' => NotConnected::class,
        'recovery_refused' => NotConnected::class,
        'authorization_refused' => ConnectFailed::class,
        'bind_mismatch' => ConnectFailed::class,
        'callback_denied' => ConnectFailed::class,
        'callback_expired' => ConnectFailed::class,
        'callback_issuer_mismatch' => ConnectFailed::class,
        'callback_malformed' => ConnectFailed::class,
        'callback_refused' => ConnectFailed::class,
        'callback_state_unknown' => ConnectFailed::class,
        'exchange_failed' => ConnectFailed::class,
        'registration_refused' => ConnectFailed::class,
        'scopes_refused' => ConnectFailed::class,
        'server_unacceptable' => ConnectFailed::class,
        'token_unacceptable' => ConnectFailed::class,
        'connect_in_progress' => TryLater::class,
        'disconnect_pending' => TryLater::class,
    ];

    /**
     * The exception for a code. One that is not known is judged by its status.
     *
     * @return class-string<CounterfoilException>
     */
    public static function kindOf(string $code, int $status): string
    {
        if (isset(self::NAMED[$code])) {
            return self::NAMED[$code];
        }
        if ($status === 429 || $status === 503) {
            return TryLater::class;
        }
        if (strncmp($code, 'webhook_', 8) === 0) {
            return WebhookRefused::class;
        }
        return $status >= 500 ? DaemonFailed::class : CallRefused::class;
    }

    /** A problem that the daemon told, or an answer that it should not have given. */
    public static function in(Answer $answer): CounterfoilException
    {
        $told = $answer->json();
        $word = static function (string $name) use ($told): ?string {
            return is_array($told) && isset($told[$name]) && is_string($told[$name]) ? $told[$name] : null;
        };
        $status = $answer->status();
        $code = $word('code') ?? 'http_' . $status;
        $kind = self::kindOf($code, $status);
        return new $kind(
            $code,
            $word('detail') ?? $word('title') ?? sprintf('The daemon answered %d.', $status),
            $word('next_step') ?? '',
            $status,
            $answer->retryAfter()
        );
    }
}
