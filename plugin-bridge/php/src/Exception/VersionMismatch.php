<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** Daemon and client are of versions that do not go together. */
final class VersionMismatch extends CounterfoilException
{
}
