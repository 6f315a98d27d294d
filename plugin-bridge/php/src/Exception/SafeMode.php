<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** The site or the daemon's state may be a copy: nothing is done until a person chooses. */
final class SafeMode extends CounterfoilException
{
}
