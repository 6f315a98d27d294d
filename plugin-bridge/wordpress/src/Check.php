<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Bridge\Exception\PlatformRefused;
use Counterfoil\WordPress\Payments\Links;
use Counterfoil\WordPress\Payments\Records;

defined('ABSPATH') || exit;

/** Once an hour: does the connection live, and how do open payments stand? A merchant hears of trouble by one letter. */
final class Check
{
    public const HOOK = 'counterfoil_check';

    /** Trouble that is still there at the second look is worth a letter; no two letters within a day. */
    private const LOOKS = 2;
    private const PAYMENTS = 50;

    public static function run(): void
    {
        $connection = Connection::read();
        $trouble = self::judge($connection);
        update_option('counterfoil_checked', ['at' => time()] + self::kept('counterfoil_checked'), false);
        if ($trouble === null) {
            self::forget();
        } else {
            $before = self::trouble();
            $same = $before !== null && $before['code'] === $trouble['code'];
            $trouble += ['since' => $same ? $before['since'] : time(), 'looks' => $same ? $before['looks'] + 1 : 1];
            update_option('counterfoil_trouble', $trouble, false);
            self::tell($trouble);
        }
        if ($connection->isReady()) {
            self::reconcile();
        }
    }

    /**
     * The trouble that the last check found: `code`, `message`, `next`, `command`, `since`, `looks`.
     *
     * @return array<string, mixed>|null
     */
    public static function trouble(): ?array
    {
        $kept = self::kept('counterfoil_trouble');
        return isset($kept['code'], $kept['message'], $kept['since'], $kept['looks']) ? $kept : null;
    }

    /** When the last check was; null before the first. */
    public static function at(): ?int
    {
        $at = self::kept('counterfoil_checked')['at'] ?? null;
        return is_int($at) ? $at : null;
    }

    /** It is mended. */
    public static function forget(): void
    {
        delete_option('counterfoil_trouble');
    }

    /**
     * What is wrong with a connection that a person has confirmed once; null where nothing is. A store that was never
     * connected, or was disconnected here, has no trouble.
     *
     * @return array<string, string>|null
     */
    public static function judge(Connection $connection): ?array
    {
        if (Connection::confirmedCompany() === '') {
            return null;
        }
        if ($connection->problem() !== null) {
            return Words::problem($connection->problem());
        }
        $told = ['message' => $connection->text('summary'), 'next' => $connection->text('next_step'), 'command' => ''];
        if ($connection->state() !== 'connected') {
            return ['code' => $connection->state()] + $told;
        }
        if ($connection->text('condition') === 'needs_person') {
            return ['code' => $connection->text('last_error', 'code')] + $told;
        }
        if (!$connection->isConfirmed()) {
            $message = __('The store is connected to another company than the one that was confirmed.', 'counterfoil');
            $next = __('Look at its name and confirm it.', 'counterfoil');
            return ['code' => 'company_unconfirmed', 'command' => ''] + compact('message', 'next');
        }
        return null;
    }

    /** @param array<string, mixed> $trouble */
    private static function tell(array $trouble): void
    {
        $checked = self::kept('counterfoil_checked');
        $lately = isset($checked['told_at']) && time() - (int) $checked['told_at'] < DAY_IN_SECONDS;
        $told = ($checked['told_of'] ?? '') === $trouble['code'] . '@' . $trouble['since'];
        // A copy of the store writes no letters: the original's owner would get them.
        if ($trouble['looks'] < self::LOOKS || $lately || $told || $trouble['code'] === 'safe_mode') {
            return;
        }
        $site = wp_specialchars_decode((string) get_option('blogname'), ENT_QUOTES);
        /* translators: %s: the site's name */
        $subject = sprintf(__('[%s] No payments can be taken at the moment', 'counterfoil'), $site);
        $lines = [$trouble['message'], $trouble['next'], admin_url('admin.php?page=counterfoil')];
        /* translators: %s: a short code */
        $lines[] = sprintf(__('Reference: %s. There is one letter about this, and none every hour.', 'counterfoil'), $trouble['code']);
        if (wp_mail((string) get_option('admin_email'), $subject, implode("\n\n", $lines))) {
            $checked['told_at'] = time();
            $checked['told_of'] = $trouble['code'] . '@' . $trouble['since'];
            update_option('counterfoil_checked', $checked, false);
        }
    }

    /** Notifications get lost: asks how open payments stand, and stops at the first sign that the platform is not there. */
    private static function reconcile(): void
    {
        foreach (Records::open(self::PAYMENTS) as $record) {
            try {
                Records::touch($record);
                Links::refresh($record);
            } catch (PlatformRefused $refusal) {
                continue;
            } catch (CounterfoilException $problem) {
                return;
            }
        }
    }

    /** @return array<string, mixed> */
    private static function kept(string $name): array
    {
        $kept = get_option($name, []);
        return is_array($kept) ? $kept : [];
    }
}
