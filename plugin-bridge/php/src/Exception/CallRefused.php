<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** The call itself is wrong, by the plugin's doing. */
final class CallRefused extends CounterfoilException
{
}
