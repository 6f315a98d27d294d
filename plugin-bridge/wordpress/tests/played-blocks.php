<?php

// The little of WooCommerce that the checkout of blocks and its list of compatible plugins are met with.

declare(strict_types=1);

namespace Automattic\WooCommerce\Utilities {
    /** What plugins say that they go together with. */
    final class FeaturesUtil
    {
        /** @var array<string, array{string, bool}> */
        public static array $declared = [];

        public static function declare_compatibility(string $feature, string $file, bool $good = true): bool
        {
            self::$declared[$feature] = [basename($file), $good];
            return true;
        }
    }
}

namespace Automattic\WooCommerce\Blocks\Payments\Integrations {
    /** What a way to pay in that checkout is made from. */
    abstract class AbstractPaymentMethodType
    {
        /** @var string */
        protected $name = '';
        /** @var array<string, mixed> */
        protected $settings = [];

        abstract public function initialize();

        public function get_name(): string
        {
            return $this->name;
        }
    }
}
