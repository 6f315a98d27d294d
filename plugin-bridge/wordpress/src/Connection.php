<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;
use Counterfoil\WordPress\Bridge\Exception\NotConnected;
use Counterfoil\WordPress\Bridge\Exception\SafeMode;

defined('ABSPATH') || exit;

/** How the connection is at this moment, as the daemon tells it, and whether a person has confirmed who gets paid. */
final class Connection
{
    /** @var array<string, mixed> */
    private array $status;
    private ?CounterfoilException $problem;

    /** @param array<string, mixed> $status */
    private function __construct(array $status, ?CounterfoilException $problem)
    {
        $this->status = $status;
        $this->problem = $problem;
    }

    /** Asks the daemon, and whether it and this plugin go together. */
    public static function read(): self
    {
        try {
            $client = Daemon::client();
            $status = $client->status();
            $client->handshake($status);
            return new self($status, null);
        } catch (CounterfoilException $problem) {
            return new self([], $problem);
        }
    }

    /** Why there is no status; null where there is one. */
    public function problem(): ?CounterfoilException
    {
        return $this->problem;
    }

    /** The state's name; empty where there is no status. */
    public function state(): string
    {
        return $this->text('state');
    }

    /** A text of status, inside other members where several names are given; empty where it has none. */
    public function text(string ...$names): string
    {
        $value = $this->at(...$names);
        return is_string($value) || is_int($value) ? (string) $value : '';
    }

    /** A time of status, or null. */
    public function time(string ...$names): ?int
    {
        $value = $this->at(...$names);
        return is_int($value) ? $value : null;
    }

    /**
     * A member of status.
     *
     * @return mixed
     */
    public function at(string ...$names)
    {
        $value = $this->status;
        foreach ($names as $name) {
            $value = is_array($value) ? ($value[$name] ?? null) : null;
        }
        return $value;
    }

    /** Whether the daemon's callback address is this site's own. */
    public function hasOurCallback(): bool
    {
        return $this->text('redirect_uri') === Daemon::callbackUrl();
    }

    /** The name of the company that gets paid, or its number where it has no name. */
    public function companyName(): string
    {
        $name = $this->text('company', 'name');
        return $name !== '' ? $name : $this->text('company', 'id');
    }

    /** Whether the store is connected, and a person has confirmed the company. */
    public function isReady(): bool
    {
        return $this->state() === 'connected' && $this->isConfirmed();
    }

    /** Whether a person has confirmed that this company gets paid. */
    public function isConfirmed(): bool
    {
        $company = $this->text('company', 'id');
        return $company !== '' && self::confirmedCompany() === $company;
    }

    /** The company that a person has confirmed; empty where there is none. */
    public static function confirmedCompany(): string
    {
        $confirmed = get_option('counterfoil_confirmed', []);
        return is_array($confirmed) && is_string($confirmed['company'] ?? null) ? $confirmed['company'] : '';
    }

    /** Writes down that a person has seen the company's name. */
    public static function confirm(string $company): void
    {
        $by = get_current_user_id();
        update_option('counterfoil_confirmed', ['company' => $company, 'by' => $by, 'at' => time()], false);
    }

    /**
     * The company that may be paid now.
     *
     * @throws CounterfoilException where there is none
     */
    public function payee(): string
    {
        if ($this->problem !== null) {
            throw $this->problem;
        }
        if ($this->state() === 'safe_mode') {
            throw new SafeMode('safe_mode', $this->text('summary'), $this->text('next_step'));
        }
        if ($this->state() !== 'connected') {
            throw new NotConnected('not_connected', $this->text('summary'), $this->text('next_step'));
        }
        if (!$this->isConfirmed()) {
            throw new NotConnected(
                'company_unconfirmed',
                __('Nobody has confirmed yet which company gets paid.', 'counterfoil'),
                __('Open Counterfoil → Connection and confirm the company.', 'counterfoil')
            );
        }
        return $this->text('company', 'id');
    }
}
