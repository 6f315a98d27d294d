<?php

defined('ABSPATH') || exit;

return [
    'dependencies' => ['wp-blocks', 'wp-block-editor', 'wp-components', 'wp-element', 'wp-i18n', 'wp-server-side-render'],
    'version' => \Counterfoil\WordPress\VERSION,
];
