<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Payments;

defined('ABSPATH') || exit;

/** Amounts are decimals in texts, and are compared digit by digit: no float ever holds money. */
final class Amount
{
    /** Reads what a person wrote: a positive decimal, at most 12 digits before the point and 8 after it. Null else. */
    public static function parse(string $text): ?string
    {
        $text = trim($text);
        if (preg_match('/^(?:0|[1-9]\d{0,11})(?:\.\d{1,8})?\z/', $text) !== 1 || self::bare($text) === '0') {
            return null;
        }
        return $text;
    }

    /**
     * Whether both are the same amount, however many zeros they end with.
     *
     * @param mixed $one
     * @param mixed $other
     */
    public static function same($one, $other): bool
    {
        $one = self::decimal($one);
        return $one !== null && $one === self::decimal($other);
    }

    /** @param mixed $amount */
    private static function decimal($amount): ?string
    {
        $text = is_int($amount) || is_float($amount) ? (string) json_encode($amount) : $amount;
        return is_string($text) && preg_match('/^\d{1,40}(?:\.\d{1,40})?\z/', $text) === 1 ? self::bare($text) : null;
    }

    private static function bare(string $text): string
    {
        [$whole, $part] = explode('.', $text, 2) + [1 => ''];
        $whole = ltrim($whole, '0');
        $part = rtrim($part, '0');
        return ($whole === '' ? '0' : $whole) . ($part === '' ? '' : '.' . $part);
    }
}
