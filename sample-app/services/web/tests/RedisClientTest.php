<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Redis\Client;
use Academy\Redis\ConnectionLost;
use Academy\Redis\ServerError;

/** Against a server of the test's own, which another process runs. */
final class RedisClientTest extends TestCase
{
    /** @var resource|null */
    private $server = null;
    private int $port = 0;

    public function tearDown(): void
    {
        if ($this->server !== null) {
            proc_terminate($this->server);
            proc_close($this->server);
        }
        parent::tearDown();
    }

    public function testSendsACommandAndReadsTheReply(): void
    {
        $client = $this->client(["+PONG\r\n", ":7\r\n"]);
        $this->same('PONG', $client->command(['PING']));
        $this->same(7, $client->command(['XLEN', 'academy:enrolments']));
    }

    public function testThrowsAnErrorReplyAndKeepsTheConnection(): void
    {
        $client = $this->client(["-ERR unknown command\r\n", "+PONG\r\n"]);
        $this->throws(ServerError::class, fn () => $client->command(['NONSENSE']), 'ERR unknown command');
        $this->same('PONG', $client->command(['PING']));
    }

    public function testConnectsAgainAfterTheConnectionWasLost(): void
    {
        $client = $this->client(['close', "+PONG\r\n"]);
        $this->throws(ConnectionLost::class, fn () => $client->command(['PING']), "127.0.0.1:{$this->port}");
        $this->same('PONG', $client->command(['PING']));
    }

    public function testDoesNotWaitForEver(): void
    {
        $client = $this->client(['silent', "+PONG\r\n"], timeout: 0.2);
        $this->throws(ConnectionLost::class, fn () => $client->command(['PING']), 'no reply in time');
        $this->same('PONG', $client->command(['PING']), 'the reply on a new connection');
    }

    public function testSaysWhereNobodyListens(): void
    {
        $this->throws(ConnectionLost::class, fn () => (new Client('127.0.0.1', 1))->command(['PING']), '127.0.0.1:1: Connection refused');
    }

    /** @param list<string> $replies what the server does for one command after the other */
    private function client(array $replies, float $timeout = 5.0): Client
    {
        $command = [PHP_BINARY, '-n', __DIR__ . '/redis-stub.php', json_encode($replies)];
        $this->server = proc_open($command, [1 => ['pipe', 'w']], $pipes);
        $this->port = (int) fgets($pipes[1]);

        return new Client('127.0.0.1', $this->port, $timeout);
    }
}
