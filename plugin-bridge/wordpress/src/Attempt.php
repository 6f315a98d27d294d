<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Exception\ConnectFailed;
use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;

defined('ABSPATH') || exit;

/**
 * One attempt to connect belongs to one person, one signed-in browser and one blog: its value is kept with the person,
 * beside the hash of the session that began it. One that was begun on the command line, where there is no session, belongs
 * to the person that was named there. The daemon keeps all that is secret.
 */
final class Attempt
{
    /** The daemon's attempts live ten minutes; a page that is loaded again gets a little longer. */
    private const SECONDS = 15 * MINUTE_IN_SECONDS;

    /**
     * Begins an attempt of this person and session, and answers the address at which it is approved.
     *
     * @throws CounterfoilException
     */
    public static function open(): string
    {
        $connection = Connection::read();
        if ($connection->problem() !== null) {
            throw $connection->problem();
        }
        if (!$connection->hasOurCallback()) {
            throw new ConnectFailed(
                'callback_elsewhere',
                __('The daemon is set up for another address than this site\'s.', 'counterfoil'),
                /* translators: %s: an address */
                sprintf(__('Set redirect_uri in the store\'s file to %s, then run: counterfoild reload', 'counterfoil'), Daemon::callbackUrl())
            );
        }
        $url = (string) (Daemon::client()->connect(self::begin())['authorization_url'] ?? '');
        $issuer = rtrim($connection->text('issuer'), '/') . '/';
        if (strncmp($url, $issuer, strlen($issuer)) !== 0 || !is_string(wp_parse_url($url, PHP_URL_HOST))) {
            throw new ConnectFailed('url_elsewhere', __('The address to approve at is not the payment platform\'s.', 'counterfoil'));
        }
        return $url;
    }

    private static function begin(): string
    {
        $bind = bin2hex(random_bytes(32));
        $attempt = ['bind' => $bind, 'session' => self::session(), 'at' => time()];
        update_user_meta(get_current_user_id(), self::key(), $attempt);
        return $bind;
    }

    /**
     * The value of the attempt that this very session began.
     *
     * @throws ConnectFailed where there is none, or it is over
     */
    public static function current(): string
    {
        $attempt = get_user_meta(get_current_user_id(), self::key(), true);
        $kept = is_array($attempt) && isset($attempt['bind'], $attempt['session'], $attempt['at']);
        if (!$kept || ($attempt['session'] !== '' && !hash_equals((string) $attempt['session'], self::session()))) {
            throw new ConnectFailed('attempt_foreign', 'There is no attempt of this person and session.');
        }
        if (time() - (int) $attempt['at'] > self::SECONDS) {
            throw new ConnectFailed('callback_expired', 'The attempt of this person and session is over.');
        }
        return (string) $attempt['bind'];
    }

    /** Forgets it. */
    public static function forget(): void
    {
        delete_user_meta(get_current_user_id(), self::key());
    }

    /** Empty on the command line. */
    private static function session(): string
    {
        $token = wp_get_session_token();
        return $token === '' ? '' : hash('sha256', $token);
    }

    private static function key(): string
    {
        return 'counterfoil_attempt_' . get_current_blog_id();
    }
}
