<?php

declare(strict_types=1);

namespace ExampleStore;

use Counterfoil\Exception\CounterfoilException;

/** The store itself does not take a payment. */
final class Unconfirmed extends CounterfoilException
{
}
