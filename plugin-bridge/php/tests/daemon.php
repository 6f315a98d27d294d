<?php

// A daemon that is played: listens at the address in the first argument, gives the answer that stands in the file of the
// second one, and writes what it was sent into the third.

declare(strict_types=1);

[, $address, $answers, $seen] = $argv;
$server = stream_socket_server($address);
if ($server === false) {
    exit(1);
}
echo stream_socket_get_name($server, false), "\n";
while (($call = @stream_socket_accept($server, -1)) !== false) {
    $text = '';
    while (strpos($text, "\r\n\r\n") === false && ($piece = (string) fread($call, 65536)) !== '') {
        $text .= $piece;
    }
    [$head, $body] = explode("\r\n\r\n", $text, 2) + [1 => ''];
    $length = preg_match('/^content-length: (\d+)/im', $head, $found) === 1 ? (int) $found[1] : 0;
    while (strlen($body) < $length && ($piece = (string) fread($call, 65536)) !== '') {
        $body .= $piece;
    }
    file_put_contents($seen, serialize(['head' => $head, 'body' => $body]));
    $answer = (string) file_get_contents($answers);
    if ($answer === 'silence') {
        $held[] = $call;
        continue;
    }
    fwrite($call, $answer);
    fclose($call);
}
