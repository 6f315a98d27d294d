<?php

// The plugin's rules, which need no WordPress.

declare(strict_types=1);

define('ABSPATH', '/');

require __DIR__ . '/played-woocommerce.php';

spl_autoload_register(static function (string $name): void {
    $prefix = 'Counterfoil\\WordPress\\';
    $file = dirname(__DIR__) . '/src/' . str_replace('\\', '/', substr($name, strlen($prefix))) . '.php';
    if (strncmp($name, $prefix, strlen($prefix)) === 0 && is_file($file)) {
        require $file;
    }
});
