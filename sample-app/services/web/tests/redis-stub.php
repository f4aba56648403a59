<?php

// A server that answers one command after the other with the replies of its
// argument, a JSON list. "close" closes the connection instead of answering,
// "silent" leaves it open. Prints its port first.

declare(strict_types=1);

require __DIR__ . '/../src/autoload.php';

$replies = json_decode($argv[1], true);
$listener = stream_socket_server('tcp://127.0.0.1:0');
echo explode(':', stream_socket_get_name($listener, false))[1], "\n";

$silent = []; // Kept open.
while ($replies !== [] && ($connection = stream_socket_accept($listener, 20)) !== false) {
    while ($replies !== []) {
        try {
            Academy\Redis\Resp::read($connection); // A command has the form of a reply.
        } catch (Academy\Redis\ConnectionLost) {
            continue 2;
        }
        $reply = array_shift($replies);
        if ($reply === 'close') {
            fclose($connection);
            continue 2;
        }
        if ($reply === 'silent') {
            $silent[] = $connection;
            continue 2;
        }
        fwrite($connection, $reply);
    }
}
