<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** The daemon does not run, or not at this socket. */
final class DaemonMissing extends CounterfoilException
{
}
