<?php

declare(strict_types=1);

namespace Academy\Redis;

/** RESP2, the protocol between Redis and its clients. */
final class Resp
{
    private const MAX_LENGTH = 64 << 20;

    /** @param list<string> $arguments */
    public static function encode(array $arguments): string
    {
        $request = '*' . count($arguments) . "\r\n";
        foreach ($arguments as $argument) {
            $request .= '$' . strlen($argument) . "\r\n" . $argument . "\r\n";
        }

        return $request;
    }

    /**
     * Reads one reply. An error reply is returned, not thrown, since it may be an element of a list.
     *
     * @param resource $stream
     *
     * @throws ConnectionLost
     */
    public static function read($stream): mixed
    {
        $line = self::line($stream);
        $rest = substr($line, 1);
        switch ($line[0] ?? '') {
            case '+':
                return $rest;
            case '-':
                return new ServerError($rest);
            case ':':
                return self::number($rest);
            case '$':
                $length = self::number($rest);
                if ($length === -1) {
                    return null;
                }
                $data = self::bytes($stream, self::checked($length) + 2);
                if (!str_ends_with($data, "\r\n")) {
                    throw new ConnectionLost('a string in the reply is longer than it says');
                }

                return substr($data, 0, -2);
            case '*':
                $length = self::number($rest);
                if ($length === -1) {
                    return null;
                }
                $list = [];
                for ($i = self::checked($length); $i > 0; --$i) {
                    $list[] = self::read($stream);
                }

                return $list;
        }
        throw new ConnectionLost('not a reply of Redis: ' . json_encode(substr($line, 0, 40), JSON_INVALID_UTF8_SUBSTITUTE));
    }

    /** @param resource $stream */
    private static function line($stream): string
    {
        $line = fgets($stream);
        if ($line === false || !str_ends_with($line, "\r\n")) {
            throw self::ended($stream);
        }

        return substr($line, 0, -2);
    }

    /** @param resource $stream */
    private static function bytes($stream, int $length): string
    {
        $data = '';
        while (strlen($data) < $length) {
            $part = fread($stream, $length - strlen($data));
            if ($part === false || $part === '') {
                throw self::ended($stream);
            }
            $data .= $part;
        }

        return $data;
    }

    /** @param resource $stream */
    private static function ended($stream): ConnectionLost
    {
        $late = stream_get_meta_data($stream)['timed_out'];

        return new ConnectionLost($late ? 'no reply in time' : 'the connection closed in the middle of a reply');
    }

    private static function number(string $text): int
    {
        $number = filter_var($text, FILTER_VALIDATE_INT);
        if ($number === false) {
            throw new ConnectionLost('not a number in the reply: ' . json_encode($text, JSON_INVALID_UTF8_SUBSTITUTE));
        }

        return $number;
    }

    private static function checked(int $length): int
    {
        if ($length < 0 || $length > self::MAX_LENGTH) {
            throw new ConnectionLost("a length of {$length} in the reply");
        }

        return $length;
    }
}
