<?php

declare(strict_types=1);

namespace ExampleStore;

use Counterfoil\Client;
use Counterfoil\Exception\CounterfoilException;

/** The owner's page: how the connection is, Connect, the company's name, Disconnect, and what a copy is told. */
final class Office
{
    private string $passwordHash;
    private Client $daemon;
    private Data $data;

    public function __construct(string $passwordHash, Client $daemon, Data $data)
    {
        $this->passwordHash = $passwordHash;
        $this->daemon = $daemon;
        $this->data = $data;
    }

    public function show(): Reply
    {
        if (!$this->isOwner()) {
            $form = '<form method="post" action="/office/sign-in"><p><label for="password">Password</label><br>'
                . '<input type="password" id="password" name="password" autocomplete="current-password" required></p><button>Sign in</button></form>';
            return Reply::page('The office', $this->notice() . $form);
        }
        try {
            $content = $this->connection($this->daemon->status());
        } catch (CounterfoilException $problem) {
            $content = self::alert($problem);
        }
        return Reply::page('The office', $this->notice() . $content);
    }

    public function signIn(string $password): Reply
    {
        $this->session();
        if (!password_verify($password, $this->passwordHash)) {
            $_SESSION['notice'] = '<p role="alert">This is not the password.</p>';
            return Reply::to('/office');
        }
        // A session that a stranger may have planted is not the one that gets the rights.
        session_regenerate_id(true);
        $_SESSION = ['owner' => true, 'token' => bin2hex(random_bytes(32))];
        return Reply::to('/office');
    }

    /** A button of the page. `$token` is the session's: no other site can press it. */
    public function act(string $action, string $token, string $company): Reply
    {
        if (!$this->isOwner() || !hash_equals($_SESSION['token'], $token)) {
            return Reply::page('Not allowed', '<p>Sign in, and press the button on the page.</p>', 403);
        }
        try {
            switch ($action) {
                case 'connect':
                    $_SESSION['bind'] = bin2hex(random_bytes(32));
                    return Reply::to($this->daemon->connect($_SESSION['bind'])['authorization_url']);
                case 'confirm':
                    if (($this->daemon->status()['company']['id'] ?? null) === $company) {
                        $this->data->confirm($company);
                    }
                    return Reply::to('/office');
                default:
                    $told = $this->daemon->disconnect();
                    $this->data->confirm('');
                    $_SESSION['notice'] = sprintf('<p role="status">%s</p>', Reply::text($told['summary']));
            }
        } catch (CounterfoilException $problem) {
            $_SESSION['notice'] = self::alert($problem);
        }
        return Reply::to('/office');
    }

    /** The registered address. The query goes to the daemon as it came, and out of the browser's address bar at once. */
    public function callback(string $query): Reply
    {
        if (!$this->isOwner()) {
            return Reply::to('/office');
        }
        try {
            $told = $this->daemon->callback($query, $_SESSION['bind'] ?? '');
            $_SESSION['notice'] = sprintf('<p role="status">%s</p>', Reply::text($told['summary']));
        } catch (CounterfoilException $problem) {
            $_SESSION['notice'] = self::alert($problem);
        }
        return Reply::to('/office');
    }

    /** @param array<string, mixed> $status */
    private function connection(array $status): string
    {
        $content = sprintf('<p>%s %s</p>', Reply::text($status['summary']), Reply::text($status['next_step']));
        $connected = $status['state'] === 'connected';
        if ($status['state'] === 'safe_mode') {
            return $content . self::safeMode($status['safe_mode'] ?? []);
        }
        $company = (string) ($status['company']['id'] ?? '');
        if ($connected && $company !== $this->data->company()) {
            $name = Reply::text($status['company']['name'] ?? $company);
            $content .= "<p role=\"alert\">Is <strong>$name</strong> the company that gets paid? Nothing can be bought before you say so.</p>";
            $content .= $this->button('confirm', 'Yes, it is', $company);
        }
        $content .= $this->button('connect', $connected ? 'Reconnect' : 'Connect');
        if ($connected) {
            $content .= '<h2>Disconnect</h2><p>Nothing can be bought until the store is connected again.</p>' . $this->button('disconnect', 'Disconnect the store');
        }
        return $content . sprintf('<p>Key of this store: <code>%s</code></p>', Reply::text($status['thumbprint'] ?? '–'));
    }

    /** @param array<string, mixed> $told */
    private static function safeMode(array $told): string
    {
        $words = ['adopt' => 'The store has moved here', 'put_back' => 'The daemon\'s settings were changed by mistake'];
        $words += ['separate' => 'This is a separate store', 'leave' => 'This is just a copy'];
        $content = '<h2>What is this store?</h2><dl>';
        foreach ($told['choices'] ?? [] as $choice) {
            $content .= sprintf('<dt>%s</dt><dd>%s', Reply::text($words[$choice['name']] ?? $choice['name']), Reply::text($choice['message']));
            $content .= isset($choice['command']) ? sprintf(' <code>%s</code></dd>', Reply::text($choice['command'])) : '</dd>';
        }
        return $content . '</dl>';
    }

    private function button(string $action, string $label, string $company = ''): string
    {
        $class = $action === 'disconnect' ? ' class="ends"' : '';
        return sprintf('<form method="post" action="/office/%s"><input type="hidden" name="token" value="%s">', $action, Reply::text($_SESSION['token']))
            . sprintf('<input type="hidden" name="company" value="%s"><button%s>%s</button></form>', Reply::text($company), $class, Reply::text($label));
    }

    private static function alert(CounterfoilException $problem): string
    {
        $said = Reply::text(trim($problem->getMessage() . ' ' . $problem->nextStep()));
        return sprintf('<p role="alert">%s <code>%s</code></p>', $said, Reply::text($problem->problemCode()));
    }

    /** What came of the last button, once. */
    private function notice(): string
    {
        $notice = $_SESSION['notice'] ?? '';
        unset($_SESSION['notice']);
        return $notice;
    }

    private function isOwner(): bool
    {
        $this->session();
        return ($_SESSION['owner'] ?? false) === true;
    }

    private function session(): void
    {
        if (session_status() !== PHP_SESSION_ACTIVE) {
            $secure = ($_SERVER['HTTPS'] ?? 'off') !== 'off';
            // Lax: the browser comes back from the platform with it, and other sites' forms are sent without.
            session_start(['name' => 'office', 'cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'cookie_secure' => $secure, 'use_strict_mode' => true]);
        }
    }
}
