<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

/** A notification that is not taken. Answer its sender with status(), and do nothing else. */
final class WebhookRefused extends CounterfoilException
{
}
