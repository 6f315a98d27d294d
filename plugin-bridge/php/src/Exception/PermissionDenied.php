<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** This user or plugin may not call the daemon, or not this of it. */
final class PermissionDenied extends CounterfoilException
{
}
