<?php

declare(strict_types=1);

namespace Academy\Web;

final readonly class Request
{
    /**
     * @param array<string, mixed> $query
     * @param array<string, mixed> $form
     */
    public function __construct(
        public string $method,
        public string $path,
        private array $query = [],
        private array $form = [],
    ) {
    }

    public static function current(): self
    {
        return new self(
            $_SERVER['REQUEST_METHOD'] ?? 'GET',
            (string) parse_url($_SERVER['REQUEST_URI'] ?? '/', PHP_URL_PATH),
            $_GET,
            $_POST,
        );
    }

    /** A parameter of the address, '' when it is missing. */
    public function query(string $name): string
    {
        return self::text($this->query[$name] ?? '');
    }

    /** A field of the form, '' when it is missing. */
    public function form(string $name): string
    {
        return self::text($this->form[$name] ?? '');
    }

    private static function text(mixed $value): string
    {
        return is_string($value) ? $value : ''; // ?name[]=x makes an array.
    }
}
