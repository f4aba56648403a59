<?php

declare(strict_types=1);

namespace Academy\Log;

/** Appends one JSON object a line to a file or stream. */
final readonly class Logger
{
    public function __construct(private string $target, private string $source)
    {
    }

    /** @param array<string, mixed> $fields */
    public function info(string $message, array $fields = []): void
    {
        $this->write('INFO', $message, $fields);
    }

    /** @param array<string, mixed> $fields */
    public function warning(string $message, array $fields = []): void
    {
        $this->write('WARN', $message, $fields);
    }

    /** @param array<string, mixed> $fields */
    public function error(string $message, array $fields = []): void
    {
        $this->write('ERROR', $message, $fields);
    }

    /** @param array<string, mixed> $fields */
    private function write(string $level, string $message, array $fields): void
    {
        $line = json_encode(
            ['time' => gmdate('Y-m-d\TH:i:s\Z'), 'level' => $level, 'msg' => $message, 'source' => $this->source] + $fields,
            JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR,
        );
        if (@file_put_contents($this->target, $line . "\n", FILE_APPEND) === false) {
            error_log($line); // To the container's own output rather than nowhere.
        }
    }
}
