<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** It may work in a moment: retryAfter() says in how many seconds, where that is known. */
final class TryLater extends CounterfoilException
{
}
