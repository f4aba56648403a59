<?php

declare(strict_types=1);

namespace Academy\Redis;

/**
 * A connection to Redis: opened by the first command, and again by the first
 * one after it was lost. A command that got no answer is not repeated.
 */
final class Client implements Commands
{
    /** @var resource|null */
    private $stream = null;

    public function __construct(
        private readonly string $host,
        private readonly int $port,
        private readonly float $timeout = 2.0,
    ) {
    }

    public function command(array $arguments, float $wait = 0.0): mixed
    {
        $stream = $this->stream ??= $this->connect();
        try {
            self::setTimeout($stream, $this->timeout + $wait);
            $this->send($stream, Resp::encode($arguments));
            $reply = Resp::read($stream);
        } catch (ConnectionLost $lost) {
            // What is left of the reply must not be taken for the next one.
            fclose($stream);
            $this->stream = null;
            throw new ConnectionLost("redis at {$this->host}:{$this->port}: {$lost->getMessage()}", previous: $lost);
        }
        if ($reply instanceof ServerError) {
            throw $reply;
        }

        return $reply;
    }

    /** @return resource */
    private function connect()
    {
        $address = "tcp://{$this->host}:{$this->port}";
        $stream = @stream_socket_client($address, $code, $message, $this->timeout);
        if ($stream === false) {
            $cause = $message !== '' ? $message : (error_get_last()['message'] ?? 'unknown cause');
            throw new ConnectionLost("redis at {$this->host}:{$this->port}: {$cause}");
        }

        return $stream;
    }

    /** @param resource $stream */
    private function send($stream, string $data): void
    {
        while ($data !== '') {
            $written = @fwrite($stream, $data);
            if ($written === false || $written === 0) {
                throw new ConnectionLost('the connection closed');
            }
            $data = substr($data, $written);
        }
    }

    /** @param resource $stream */
    private static function setTimeout($stream, float $seconds): void
    {
        stream_set_timeout($stream, (int) $seconds, (int) (fmod($seconds, 1.0) * 1_000_000));
    }
}
