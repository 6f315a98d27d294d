<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Payments;

defined('ABSPATH') || exit;

/** Where a payment stands, and which news about it counts. Notifications come late, twice and out of order. */
final class Progress
{
    private const KNOWN = [
        'quoted', 'awaiting_deposit', 'pending', 'deposit_received', 'swapping', 'sending', 'underpaid', 'complete',
        'failed', 'expired', 'cancelled',
    ];

    /** Whether this is a status of a payment. */
    public static function isKnown(string $status): bool
    {
        return in_array($status, self::KNOWN, true);
    }

    /** Whether nothing but an archive comes after it. */
    public static function isFinal(string $status): bool
    {
        return $status === 'complete';
    }

    /**
     * Whether news of `$at` changes what is known since `$since`. Paid stays paid; paid counts whenever it is heard; else
     * the newer one does, and of one moment the one that is further on. Times are RFC 3339 in UTC; an empty one is older than all.
     */
    public static function counts(string $now, string $since, string $news, string $at): bool
    {
        if (!self::isKnown($news) || $news === $now || self::isFinal($now)) {
            return false;
        }
        $order = strcmp(self::instant($at), self::instant($since));
        return self::isFinal($news) || $order > 0 || ($order === 0 && self::rank($news) > self::rank($now));
    }

    /** How far a status is in the order in which payments usually take them. */
    private static function rank(string $status): int
    {
        $rank = array_search($status, self::KNOWN, true);
        return $rank === false ? -1 : (int) $rank;
    }

    /** A time that can be compared as text: microseconds since 1970, with leading zeros. */
    private static function instant(string $time): string
    {
        $pattern = '/^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,6})\d*)?(Z|[+-]\d{2}:\d{2})\z/';
        if (preg_match($pattern, $time, $found) !== 1) {
            return str_repeat('0', 22);
        }
        return sprintf('%016d%s', (int) strtotime($found[1] . $found[3]), str_pad($found[2], 6, '0'));
    }
}
