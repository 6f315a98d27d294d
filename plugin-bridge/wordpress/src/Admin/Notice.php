<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Admin;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Words;

defined('ABSPATH') || exit;

/** What came of the last thing that a person did here: kept for that person until it has been shown once. */
final class Notice
{
    /** Something was done. */
    public static function done(string $message): void
    {
        self::keep(['kind' => 'success', 'message' => $message, 'next' => '', 'command' => '', 'code' => '']);
    }

    /** It was not done: why, and what to do. */
    public static function failed(CounterfoilException $problem): void
    {
        self::keep(['kind' => 'error'] + Words::problem($problem));
    }

    /** It was not done, for a reason that is not the daemon's. */
    public static function refused(string $message, string $next = ''): void
    {
        self::keep(['kind' => 'error', 'message' => $message, 'next' => $next, 'command' => '', 'code' => '']);
    }

    /** Shows it, and forgets it. */
    public static function render(): void
    {
        $notice = get_user_meta(get_current_user_id(), self::key(), true);
        if (!is_array($notice)) {
            return;
        }
        delete_user_meta(get_current_user_id(), self::key());
        self::box($notice);
    }

    /**
     * A box with a message, what to do, the command and the reference.
     *
     * @param array<string, string> $notice
     */
    public static function box(array $notice): void
    {
        $role = $notice['kind'] === 'error' ? 'alert' : 'status';
        printf('<div class="notice notice-%s" role="%s">', esc_attr($notice['kind']), esc_attr($role));
        printf('<p><strong>%s</strong> %s</p>', esc_html($notice['message']), esc_html($notice['next']));
        if ($notice['command'] !== '') {
            printf('<p>%s <code>%s</code></p>', esc_html__('On the store\'s machine:', 'counterfoil'), esc_html($notice['command']));
        }
        if ($notice['code'] !== '') {
            printf('<p class="description">%s <code>%s</code></p>', esc_html__('Reference:', 'counterfoil'), esc_html($notice['code']));
        }
        echo '</div>';
    }

    /** @param array<string, string> $notice */
    private static function keep(array $notice): void
    {
        update_user_meta(get_current_user_id(), self::key(), $notice);
    }

    private static function key(): string
    {
        return 'counterfoil_notice_' . get_current_blog_id();
    }
}
