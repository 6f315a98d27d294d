<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** The store is not connected, or not any more: somebody must press Connect. */
final class NotConnected extends CounterfoilException
{
}
