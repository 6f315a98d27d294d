<?php

declare(strict_types=1);

namespace Counterfoil;

use Counterfoil\Exception\CounterfoilException;
use Counterfoil\Exception\DaemonMissing;
use Counterfoil\Exception\PermissionDenied;
use Counterfoil\Exception\TryLater;

/** What it means that there is no answer. Paths and the system's reason are told; nothing that was sent is. */
final class Unanswered
{
    private const EPERM = 1;
    private const ENOENT = 2;
    private const EACCES = 13;
    private const ECONNREFUSED = 111;

    /** Nobody took the connection; `$number` is the system's. */
    public static function connection(Door $door, int $number): CounterfoilException
    {
        $place = $door->place();
        if ($number === self::EACCES || $number === self::EPERM) {
            return new PermissionDenied(
                'socket_permission',
                "This program may not use the daemon's socket $place.",
                "Name its user in allow_users, or its group in allow_groups, of the store's file, then run: counterfoild reload; if it is let in already, counterfoild doctor says what is in its way"
            );
        }
        if ($number === self::ENOENT || $number === self::ECONNREFUSED) {
            $elsewhere = $number === self::ENOENT
                ? " If it runs, set the socket's path to the one in the store's file."
                : '';
            return new DaemonMissing(
                'daemon_missing',
                "The daemon does not answer at $place.",
                'Start the daemon: systemctl start counterfoild.' . $elsewhere
            );
        }
        return self::late($door);
    }

    /** It took the connection, and did not answer in time or broke off. */
    public static function late(Door $door): CounterfoilException
    {
        return new TryLater(
            'daemon_unanswered',
            "The daemon at {$door->place()} did not answer in time, or broke off.",
            'Try again; if it lasts, run: counterfoild status'
        );
    }
}
