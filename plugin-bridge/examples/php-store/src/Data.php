<?php

declare(strict_types=1);

namespace ExampleStore;

/** What the store writes down: a file for each order, and the company that its owner has confirmed. No secret. */
final class Data
{
    private string $directory;

    public function __construct(string $directory)
    {
        $this->directory = $directory;
    }

    /** A new order's name: hard to guess, since whoever has it sees the order. */
    public static function name(): string
    {
        return bin2hex(random_bytes(16));
    }

    public static function isName(string $name): bool
    {
        return preg_match('/^[0-9a-f]{32}\z/', $name) === 1;
    }

    /**
     * Reads an order, hands it to `$change`, and writes down what that answers, while nobody else does the same. An
     * order that is not there yet is empty. Where `$change` throws, nothing is written.
     *
     * @param  callable(array<string, string>): array<string, string> $change
     * @return array<string, string>
     */
    public function change(string $order, callable $change): array
    {
        $lock = fopen("$this->directory/order-$order.lock", 'c');
        if ($lock === false || !flock($lock, LOCK_EX)) {
            throw new \RuntimeException('The store cannot write its data.');
        }
        try {
            $before = $this->order($order);
            $after = $change($before);
            if ($after !== $before) {
                $this->write("order-$order", $after);
            }
            return $after;
        } finally {
            fclose($lock);
        }
    }

    /** @return array<string, string> */
    public function order(string $order): array
    {
        return self::isName($order) ? $this->read("order-$order") : [];
    }

    /** The company that gets paid; empty before anybody has confirmed one. */
    public function company(): string
    {
        return $this->read('company')['id'] ?? '';
    }

    public function confirm(string $company): void
    {
        $this->write('company', ['id' => $company]);
    }

    /** @return array<string, string> */
    private function read(string $name): array
    {
        $text = @file_get_contents("$this->directory/$name.json");
        $kept = $text === false ? [] : json_decode($text, true);
        return is_array($kept) ? $kept : [];
    }

    /** @param array<string, string> $what */
    private function write(string $name, array $what): void
    {
        $file = "$this->directory/$name.json";
        if (file_put_contents("$file.new", json_encode($what)) === false || !rename("$file.new", $file)) {
            throw new \RuntimeException('The store cannot write its data.');
        }
    }
}
