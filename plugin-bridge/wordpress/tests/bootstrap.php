<?php

// The plugin's rules, which need no WordPress.

declare(strict_types=1);

define('ABSPATH', '/');

require __DIR__ . '/played-woocommerce.php';
require dirname(__DIR__, 2) . '/php/tests/bootstrap.php';

// The client, as the zip names it.
spl_autoload_register(static function (string $name): void {
    $prefix = 'Counterfoil\\WordPress\\Bridge\\';
    if (strncmp($name, $prefix, strlen($prefix)) === 0) {
        class_alias('Counterfoil\\' . substr($name, strlen($prefix)), $name);
    }
});
spl_autoload_register(static function (string $name): void {
    $prefix = 'Counterfoil\\WordPress\\';
    $file = dirname(__DIR__) . '/src/' . str_replace('\\', '/', substr($name, strlen($prefix))) . '.php';
    if (strncmp($name, $prefix, strlen($prefix)) === 0 && is_file($file)) {
        require $file;
    }
});
