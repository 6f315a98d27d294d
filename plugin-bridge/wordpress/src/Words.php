<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;

defined('ABSPATH') || exit;

/** The one place where codes become sentences: for the pages, Site Health, letters and the command line. */
final class Words
{
    /**
     * What went wrong: `message`, `next` (what to do) and `command` (empty where no command mends it).
     *
     * @return array{code: string, message: string, next: string, command: string}
     */
    public static function problem(CounterfoilException $problem): array
    {
        $code = $problem->problemCode();
        [$message, $next, $command] = self::known($code, $problem) + ['', '', ''];
        return [
            'code' => $code,
            'message' => $message !== '' ? $message : $problem->getMessage(),
            'next' => $next !== '' ? $next : $problem->nextStep(),
            'command' => $command,
        ];
    }

    /** @return list<string> */
    private static function known(string $code, CounterfoilException $problem): array
    {
        $again = __('Press Connect to begin again. An earlier connection is as it was.', 'counterfoil');
        switch ($code) {
            case 'daemon_missing':
                /* translators: %s: a file's path */
                $message = sprintf(__('The Counterfoil daemon does not answer at %s.', 'counterfoil'), Daemon::socket());
                $next = __('Start it on this machine. If it runs, its socket is elsewhere: set the path below.', 'counterfoil');
                return [$message, $next, 'systemctl start counterfoild'];
            case 'socket_permission':
                $user = Daemon::systemUser();
                $message = self::keptOut($user);
                /* translators: %s: a line of a file of settings */
                $next = __('Add %s to the store\'s file, below [local]. The socket has to belong to a group of that user, too: doctor says who may open it.', 'counterfoil');
                return [$message, sprintf($next, 'allow_users = ["' . $user . '"]'), 'counterfoild doctor'];
            case 'caller_refused':
                $user = Daemon::systemUser();
                $message = self::keptOut($user);
                /* translators: %s: a line of a file of settings */
                $next = __('Add %s to the store\'s file, below [local], and have the daemon read it again.', 'counterfoil');
                return [$message, sprintf($next, 'allow_users = ["' . $user . '"]'), 'counterfoild reload'];
            case 'daemon_version':
                /* translators: %s: which versions they are */
                $message = __('The daemon and this plugin are of versions that do not go together. %s', 'counterfoil');
                $next = __('Update the older of the two.', 'counterfoil');
                return [sprintf($message, $problem->getMessage()), $next, 'counterfoild --version'];
            case 'daemon_unanswered':
                $message = __('The daemon took the call and did not answer in time.', 'counterfoil');
                return [$message, __('Try again. If it lasts, ask it how it is.', 'counterfoil'), 'counterfoild status'];
            case 'callback_denied':
                return [__('The approval was declined at the payment platform. Nothing has changed.', 'counterfoil'), $again];
            case 'callback_expired':
                return [__('The approval came too late; an attempt lives ten minutes. Nothing has changed.', 'counterfoil'), $again];
            case 'callback_state_unknown':
                $message = __('This approval belongs to no attempt that is under way, so it was not used.', 'counterfoil');
                return [$message, $again];
            case 'bind_mismatch':
            case 'attempt_foreign':
                $message = __('This approval was not begun by you in this browser, so it was not used.', 'counterfoil');
                return [$message, $again];
            case 'callback_issuer_mismatch':
                return [__('The answer did not come from the payment platform, so it was not used.', 'counterfoil'), $again];
            case 'callback_malformed':
                return [__('The answer of the payment platform could not be read, so it was not used.', 'counterfoil'), $again];
            case 'callback_pending':
                $message = __('The approval has arrived; the payment platform has not confirmed it yet.', 'counterfoil');
                return [$message, __('Nothing is lost. Reload this page in a moment.', 'counterfoil')];
            case 'site_mismatch':
            case 'safe_mode':
                $message = __('This site looks like a copy of the store that is connected, so it does nothing.', 'counterfoil');
                $next = __('The original goes on working. Choose below what this site is.', 'counterfoil');
                return [$message, $next, 'counterfoild status'];
            case 'not_connected':
                return [__('This store is not connected to its payment platform.', 'counterfoil'), __('Press Connect.', 'counterfoil')];
        }
        return [];
    }

    private static function keptOut(string $user): string
    {
        /* translators: %s: a user of the machine, such as www-data */
        return sprintf(__('The daemon runs, but does not let the web server\'s user (%s) in.', 'counterfoil'), $user);
    }

    /** A permission in words; its own name where it is not known. */
    public static function scope(string $scope): string
    {
        $words = [
            'company:read' => __('see the name of the company that gets paid', 'counterfoil'),
            'makepay:payment-links:read' => __('see this store\'s payment links', 'counterfoil'),
            'makepay:payment-links:write' => __('create and archive payment links', 'counterfoil'),
            'makepay:webhooks:read' => __('see where notifications about payments go', 'counterfoil'),
            'makepay:webhooks:write' => __('have notifications about payments sent here', 'counterfoil'),
            'makepay:settings:read' => __('see the payment settings', 'counterfoil'),
            'makepay:settings:write' => __('change the payment settings', 'counterfoil'),
        ];
        return $words[$scope] ?? $scope;
    }

    /** A state of the connection in a few words. */
    public static function state(string $state): string
    {
        $words = [
            'unregistered' => __('Not connected', 'counterfoil'),
            'disconnected' => __('Not connected', 'counterfoil'),
            'awaiting_approval' => __('Waiting for approval', 'counterfoil'),
            'connected' => __('Connected', 'counterfoil'),
            'reconnect_required' => __('The connection has ended', 'counterfoil'),
            'disconnect_pending' => __('Being disconnected', 'counterfoil'),
            'safe_mode' => __('Safe mode', 'counterfoil'),
        ];
        return $words[$state] ?? __('Needs attention', 'counterfoil');
    }

    /** One of the three ways out of safe mode: what it means. */
    public static function choice(string $name): string
    {
        $words = [
            'adopt' => __('The store has moved here', 'counterfoil'),
            'put_back' => __('The daemon\'s settings were changed by mistake', 'counterfoil'),
            'separate' => __('This is a separate store', 'counterfoil'),
            'leave' => __('This is just a copy', 'counterfoil'),
        ];
        return $words[$name] ?? $name;
    }

    /** Where a payment stands. */
    public static function payment(string $status): string
    {
        $words = [
            '' => __('Open', 'counterfoil'),
            'quoted' => __('A price was named', 'counterfoil'),
            'awaiting_deposit' => __('Waiting for the payer', 'counterfoil'),
            'pending' => __('On its way', 'counterfoil'),
            'deposit_received' => __('Received, not settled yet', 'counterfoil'),
            'swapping' => __('Being settled', 'counterfoil'),
            'sending' => __('Being settled', 'counterfoil'),
            'underpaid' => __('Less than asked for was paid', 'counterfoil'),
            'complete' => __('Paid', 'counterfoil'),
            'failed' => __('Failed', 'counterfoil'),
            'expired' => __('Not paid in time', 'counterfoil'),
            'cancelled' => __('Given up', 'counterfoil'),
        ];
        return $words[$status] ?? $status;
    }

    /** A time as this site shows times. */
    public static function time(?int $at): string
    {
        if ($at === null) {
            return '–';
        }
        return (string) wp_date(get_option('date_format') . ' ' . get_option('time_format'), $at);
    }
}
