<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** An attempt to connect ended without a connection; an older connection is as it was. Press Connect again. */
final class ConnectFailed extends CounterfoilException
{
}
