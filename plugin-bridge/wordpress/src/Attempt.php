<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

defined('ABSPATH') || exit;

/**
 * One attempt to connect belongs to one person, one signed-in browser and one blog: its value is kept with the person,
 * beside the hash of the session that began it. The daemon keeps all that is secret.
 */
final class Attempt
{
    /** The daemon's attempts live ten minutes; a page that is loaded again gets a little longer. */
    private const SECONDS = 15 * MINUTE_IN_SECONDS;

    /** Begins an attempt of this person and session, and answers its value. */
    public static function begin(): string
    {
        $bind = bin2hex(random_bytes(32));
        $attempt = ['bind' => $bind, 'session' => self::session(), 'at' => time()];
        update_user_meta(get_current_user_id(), self::key(), $attempt);
        return $bind;
    }

    /** The value of the attempt that this very session began; null where there is none that lives. */
    public static function current(): ?string
    {
        $attempt = get_user_meta(get_current_user_id(), self::key(), true);
        if (!is_array($attempt) || !isset($attempt['bind'], $attempt['session'], $attempt['at'])) {
            return null;
        }
        $lives = time() - (int) $attempt['at'] <= self::SECONDS;
        return $lives && hash_equals((string) $attempt['session'], self::session()) ? (string) $attempt['bind'] : null;
    }

    /** Forgets it. */
    public static function forget(): void
    {
        delete_user_meta(get_current_user_id(), self::key());
    }

    private static function session(): string
    {
        return hash('sha256', wp_get_session_token());
    }

    private static function key(): string
    {
        return 'counterfoil_attempt_' . get_current_blog_id();
    }
}
