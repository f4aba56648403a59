<?php

declare(strict_types=1);

namespace Academy;

/** The environment variables that the web pages and the worker are set up by. */
final readonly class Settings
{
    public const VERSION = '1.4.2';

    private function __construct(
        public string $redisHost,
        public int $redisPort,
        public string $gradesUrl,
        public string $gradesToken,
        public string $recommenderUrl,
    ) {
    }

    /** @param array<string, string> $environment */
    public static function from(array $environment): self
    {
        $names = ['REDIS_ADDRESS', 'GRADES_URL', 'GRADES_TOKEN', 'RECOMMENDER_URL'];
        $missing = array_filter($names, static fn (string $name): bool => ($environment[$name] ?? '') === '');
        if ($missing !== []) {
            throw new \RuntimeException('not set in the environment: ' . implode(', ', $missing));
        }
        [$host, $port] = explode(':', $environment['REDIS_ADDRESS'], 2) + [1 => '6379'];

        return new self(
            $host,
            (int) $port,
            rtrim($environment['GRADES_URL'], '/'),
            $environment['GRADES_TOKEN'],
            rtrim($environment['RECOMMENDER_URL'], '/'),
        );
    }
}
