<?php

declare(strict_types=1);

namespace Academy\Tests;

abstract class TestCase
{
    /** @var list<string> */
    private array $folders = [];

    public function tearDown(): void
    {
        foreach ($this->folders as $folder) {
            array_map(unlink(...), glob("{$folder}/*") ?: []);
            rmdir($folder);
        }
    }

    /** A new folder that is removed after the test. */
    protected function folder(): string
    {
        $folder = sys_get_temp_dir() . '/academy-test-' . bin2hex(random_bytes(6));
        mkdir($folder);

        return $this->folders[] = $folder;
    }

    protected function same(mixed $want, mixed $got, string $what = 'value'): void
    {
        if ($want !== $got) {
            throw new \RuntimeException("{$what}: want " . self::show($want) . "\n got " . self::show($got));
        }
    }

    protected function contains(string $part, string $text): void
    {
        if (!str_contains($text, $part)) {
            throw new \RuntimeException("want a text with {$part}\n got {$text}");
        }
    }

    protected function lacks(string $part, string $text): void
    {
        if (str_contains($text, $part)) {
            throw new \RuntimeException("want a text without {$part}\n got {$text}");
        }
    }

    /**
     * @param class-string<\Throwable> $class
     * @param \Closure(): mixed        $action
     */
    protected function throws(string $class, \Closure $action, string $message = ''): void
    {
        try {
            $result = $action();
        } catch (\Throwable $error) {
            if (!$error instanceof $class) {
                throw $error;
            }
            $this->contains($message, $error->getMessage());

            return;
        }
        throw new \RuntimeException("want {$class}, got the result " . self::show($result));
    }

    private static function show(mixed $value): string
    {
        return json_encode($value, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE) ?: get_debug_type($value);
    }
}
