<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** The daemon runs, and its own state or settings cannot be used; the host must act. */
final class DaemonFailed extends CounterfoilException
{
}
