<?php

/**
 * Plugin Name: Counterfoil
 * Description: Connects this store to its payment platform through the Counterfoil daemon beside it. No secret is kept in the database.
 * Version: 0.1.0
 * Requires at least: 6.1
 * Requires PHP: 7.4
 * Author: The Counterfoil developers
 * License: GPL-2.0-or-later
 * License URI: https://www.gnu.org/licenses/gpl-2.0.html
 * Text Domain: counterfoil
 * Domain Path: /languages
 *
 * @package Counterfoil
 */

declare(strict_types=1);

namespace Counterfoil\WordPress;

defined('ABSPATH') || exit;

const VERSION = '0.1.0';

spl_autoload_register(static function (string $name): void {
    $folders = ['Counterfoil\\WordPress\\Bridge\\' => '/bridge/', 'Counterfoil\\WordPress\\' => '/src/'];
    foreach ($folders as $prefix => $folder) {
        if (strncmp($name, $prefix, strlen($prefix)) === 0) {
            $file = __DIR__ . $folder . str_replace('\\', '/', substr($name, strlen($prefix))) . '.php';
            if (is_file($file)) {
                require $file;
            }
            return;
        }
    }
});

Plugin::start(__FILE__);
