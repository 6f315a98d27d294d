<?php

// What Composer's autoloader does, without Composer: this store's classes, and the client's.

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    foreach (['ExampleStore\\' => '/src/', 'Counterfoil\\' => '/../../php/src/'] as $prefix => $folder) {
        $file = __DIR__ . $folder . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (strncmp($class, $prefix, strlen($prefix)) === 0 && is_file($file)) {
            require $file;
        }
    }
});
