<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Payments;

defined('ABSPATH') || exit;

/** Where payments are kept: posts of a kind of their own, which no page, search or REST route shows. */
final class Records
{
    private const TYPE = 'counterfoil_payment';
    private const KEPT = 'counterfoil_payment';

    public static function register(): void
    {
        register_post_type(self::TYPE, [
            'label' => 'Counterfoil payments',
            'public' => false,
            'rewrite' => false,
            'query_var' => false,
            'can_export' => false,
            'delete_with_user' => false,
            'supports' => ['title'],
        ]);
    }

    /**
     * A payment that is about to be asked for. The same request twice, as by a button that was pressed twice, is the same
     * payment, with what it asked for the first time.
     */
    public static function prepare(string $request, string $amount, string $currency, string $description): Record
    {
        $record = wp_is_uuid($request, 4) ? self::by('counterfoil_request', $request) : null;
        if ($record === null) {
            $record = new Record();
            $record->request = wp_is_uuid($request, 4) ? $request : wp_generate_uuid4();
            $record->amount = $amount;
            $record->currency = $currency;
            $record->description = mb_substr($description, 0, 200);
            $record->made = time();
        }
        return $record;
    }

    /** Writes it down; what is changed here is on disk when this comes back. */
    public static function save(Record $record): void
    {
        if ($record->id === 0) {
            $post = ['post_type' => self::TYPE, 'post_status' => 'private', 'post_title' => wp_slash($record->description)];
            $id = wp_insert_post($post, true);
            if (is_wp_error($id)) {
                throw new \RuntimeException('A payment could not be written down.');
            }
            $record->id = $id;
            update_post_meta($id, 'counterfoil_request', $record->request);
        }
        update_post_meta($record->id, 'counterfoil_uid', wp_slash($record->uid));
        update_post_meta($record->id, 'counterfoil_open', $record->isOpen() ? '1' : '0');
        if ($record->order !== 0) {
            update_post_meta($record->id, 'counterfoil_order', (string) $record->order);
        }
        update_post_meta($record->id, self::KEPT, wp_slash(get_object_vars($record)));
    }

    /** Forgets a payment that the platform never took. */
    public static function drop(Record $record): void
    {
        if ($record->id !== 0) {
            wp_delete_post($record->id, true);
        }
    }

    public static function byId(int $id): ?Record
    {
        return $id > 0 && get_post_type($id) === self::TYPE ? self::read($id) : null;
    }

    public static function byUid(string $uid): ?Record
    {
        return $uid === '' ? null : self::by('counterfoil_uid', $uid);
    }

    /** The same as it is stored now, whatever this request has read of it before. */
    public static function freshByUid(string $uid): ?Record
    {
        $known = self::byUid($uid);
        if ($known === null) {
            return null;
        }
        wp_cache_delete($known->id, 'post_meta');
        return self::byId($known->id);
    }

    public static function byOrder(int $order): ?Record
    {
        return $order === 0 ? null : self::by('counterfoil_order', (string) $order);
    }

    /**
     * A page of them, the newest first.
     *
     * @return array{0: list<Record>, 1: int} the payments, and how many pages there are
     */
    public static function page(int $page, int $size): array
    {
        $query = new \WP_Query([
            'post_type' => self::TYPE, 'post_status' => 'private', 'fields' => 'ids', 'posts_per_page' => $size,
            'paged' => max(1, $page), 'orderby' => 'ID', 'order' => 'DESC',
        ]);
        return [self::all($query->posts), (int) $query->max_num_pages];
    }

    /**
     * Those that somebody may still pay, the longest not looked at first.
     *
     * @return list<Record>
     */
    public static function open(int $number): array
    {
        return self::all(get_posts([
            'post_type' => self::TYPE, 'post_status' => 'private', 'fields' => 'ids', 'numberposts' => $number,
            'orderby' => 'modified', 'order' => 'ASC',
            // phpcs:ignore WordPress.DB.SlowDBQuery -- a screen of ours, the editor and the hourly check alone ask.
            'meta_query' => [['key' => 'counterfoil_open', 'value' => '1']],
        ]));
    }

    /** Notes that it was looked at now. */
    public static function touch(Record $record): void
    {
        wp_update_post(['ID' => $record->id]);
    }

    /**
     * Runs `$work` while nobody else changes what is named. False where somebody else does it for longer than `$seconds`.
     */
    public static function alone(string $name, callable $work, float $seconds = 2.0): bool
    {
        require_once ABSPATH . 'wp-admin/includes/class-wp-upgrader.php';
        $lock = 'counterfoil_' . md5($name);
        $end = microtime(true) + $seconds;
        while (!\WP_Upgrader::create_lock($lock, MINUTE_IN_SECONDS)) {
            if (microtime(true) > $end) {
                return false;
            }
            usleep(100000);
        }
        try {
            $work();
        } finally {
            \WP_Upgrader::release_lock($lock);
        }
        return true;
    }

    private static function by(string $name, string $value): ?Record
    {
        $found = get_posts([
            'post_type' => self::TYPE, 'post_status' => 'private', 'fields' => 'ids', 'numberposts' => 1,
            'orderby' => 'ID', 'order' => 'DESC',
            // phpcs:ignore WordPress.DB.SlowDBQuery -- one row by its name, for a notification, an order or a form.
            'meta_query' => [['key' => $name, 'value' => $value]],
        ]);
        return $found === [] ? null : self::read((int) $found[0]);
    }

    /**
     * @param  list<int|string> $ids
     * @return list<Record>
     */
    private static function all(array $ids): array
    {
        return array_values(array_filter(array_map(static function ($id): ?Record {
            return self::read((int) $id);
        }, $ids)));
    }

    private static function read(int $id): ?Record
    {
        $kept = get_post_meta($id, self::KEPT, true);
        if (!is_array($kept)) {
            return null;
        }
        $record = new Record();
        foreach (get_object_vars($record) as $name => $usual) {
            if (isset($kept[$name]) && gettype($kept[$name]) === gettype($usual)) {
                $record->{$name} = $kept[$name];
            }
        }
        $record->id = $id;
        return $record;
    }
}
