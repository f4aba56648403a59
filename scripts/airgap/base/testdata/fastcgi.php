<?php
// fastcgi.php HOST:PORT SCRIPT: asks a FastCGI server for a script, as nginx does, and prints what it answers.
[, $address, $script] = $argv;

function record(int $type, string $content): string
{
    return pack('CCnnCx', 1, $type, 1, strlen($content), 0) . $content;
}

$parameters = '';
$values = [
    'GATEWAY_INTERFACE' => 'CGI/1.1', 'REQUEST_METHOD' => 'GET', 'SCRIPT_FILENAME' => $script, 'SCRIPT_NAME' => '/' . basename($script),
    'REQUEST_URI' => '/', 'QUERY_STRING' => 'name=devenv', 'SERVER_PROTOCOL' => 'HTTP/1.1',
];
foreach ($values as $name => $value) {
    $parameters .= chr(strlen($name)) . chr(strlen($value)) . $name . $value;
}

$connection = stream_socket_client("tcp://$address", $code, $message, 5);
if ($connection === false) {
    fwrite(STDERR, "$address: $message\n");
    exit(1);
}
stream_set_timeout($connection, 5);
fwrite($connection, record(1, pack('nCx5', 1, 0)) . record(4, $parameters) . record(4, '') . record(5, ''));

while (($header = stream_get_contents($connection, 8)) !== false && strlen($header) === 8) {
    ['type' => $type, 'length' => $length, 'padding' => $padding] = unpack('Cversion/Ctype/nid/nlength/Cpadding', $header);
    $content = $length + $padding > 0 ? substr(stream_get_contents($connection, $length + $padding), 0, $length) : '';
    if ($type === 6) {
        echo $content;
    } elseif ($type === 7) {
        fwrite(STDERR, $content);
    } elseif ($type === 3) {
        exit(0);
    }
}
exit(1);
