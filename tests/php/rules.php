<?php

// Runs the plugin's PHPUnit tests where there is no PHPUnit: with as much of it as they use.

declare(strict_types=1);

namespace PHPUnit\Framework {
    abstract class TestCase
    {
        /** @param mixed $expected @param mixed $actual */
        public static function assertSame($expected, $actual, string $what = ''): void
        {
            if ($expected !== $actual) {
                throw new \Exception($what . ': ' . var_export($actual, true) . ' instead of ' . var_export($expected, true));
            }
        }

        /** @param mixed $actual */
        public static function assertTrue($actual, string $what = ''): void
        {
            self::assertSame(true, $actual, $what);
        }

        /** @param mixed $actual */
        public static function assertFalse($actual, string $what = ''): void
        {
            self::assertSame(false, $actual, $what);
        }

        /** @param mixed $actual */
        public static function assertNull($actual, string $what = ''): void
        {
            self::assertSame(null, $actual, $what);
        }

        /** @param array<mixed> $actual */
        public static function assertCount(int $expected, array $actual, string $what = ''): void
        {
            self::assertSame($expected, count($actual), $what);
        }

        protected function setUp(): void
        {
        }

        public function run(string $name): void
        {
            $this->setUp();
            $this->{$name}();
        }
    }
}

namespace {
    $folder = dirname(__DIR__, 2) . '/plugin-bridge/wordpress/tests';
    require $folder . '/bootstrap.php';
    foreach (['RulesTest', 'OrdersTest'] as $class) {
        require "$folder/$class.php";
        $name = 'Counterfoil\\WordPress\\Tests\\' . $class;
        foreach (get_class_methods($name) as $method) {
            if (strncmp($method, 'test', 4) === 0) {
                (new $name())->run($method);
                echo "$class::$method passed\n";
            }
        }
    }
}
