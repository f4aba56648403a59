<?php

declare(strict_types=1);

namespace Academy\Log;

/**
 * Follows the files of a folder that end in .log: each call of lines() returns
 * the complete lines that have been added since the one before.
 */
final class Tail
{
    private const MAX_READ = 1 << 20;

    /** @var array<string, int> how far each file has been read */
    private array $offsets = [];

    /** @param int $maxSize bytes at which a file that has been read to its end is emptied */
    public function __construct(private readonly string $folder, private readonly int $maxSize = 8 << 20)
    {
    }

    /** @return iterable<string, string> the file's name => a line without its end */
    public function lines(): iterable
    {
        foreach (glob("{$this->folder}/*.log") ?: [] as $path) {
            clearstatcache(true, $path);
            $size = @filesize($path);
            if ($size === false) {
                continue;
            }
            $offset = $this->offsets[$path] ?? 0;
            if ($size < $offset) { // Emptied, by us or someone else.
                $offset = 0;
            }
            $text = $size > $offset ? (string) @file_get_contents($path, offset: $offset, length: self::MAX_READ) : '';
            $end = strrpos($text, "\n");
            if ($end !== false) {
                foreach (explode("\n", substr($text, 0, $end)) as $line) {
                    yield basename($path) => $line;
                }
                $offset += $end + 1;
            } elseif (strlen($text) === self::MAX_READ) { // No line is that long: skip what cannot be one.
                $offset += self::MAX_READ;
            }
            $this->offsets[$path] = $offset;
            $this->emptyWhenLarge($path);
        }
    }

    /** The writers append, so they go on at the new end. */
    private function emptyWhenLarge(string $path): void
    {
        clearstatcache(true, $path);
        if ($this->offsets[$path] >= $this->maxSize && filesize($path) === $this->offsets[$path]) {
            $file = @fopen($path, 'r+');
            if ($file !== false) {
                ftruncate($file, 0);
                fclose($file);
                $this->offsets[$path] = 0;
            }
        }
    }
}
