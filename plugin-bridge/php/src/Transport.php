<?php

declare(strict_types=1);

namespace Counterfoil;

/** One HTTP exchange with the daemon, bounded in time and size. */
interface Transport
{
    /** Seconds for the connection to be made: it is this machine, which may have much else to do. */
    public const CONNECT_SECONDS = 10;

    /** The largest answer, in bytes. */
    public const LARGEST_ANSWER = 33554432;

    /**
     * Sends a request and gives the answer, whatever its status; throws when there is none.
     *
     * @param array<string, string> $headers
     */
    public function exchange(Door $door, string $method, string $path, array $headers, string $body, float $seconds): Answer;
}
