<?php

// What Composer's autoloader does, without Composer.

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    foreach (['Counterfoil\\Tests\\' => __DIR__ . '/', 'Counterfoil\\' => __DIR__ . '/../src/'] as $prefix => $folder) {
        if (strncmp($class, $prefix, strlen($prefix)) === 0) {
            $file = $folder . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
            if (is_file($file)) {
                require $file;
                return;
            }
        }
    }
});
