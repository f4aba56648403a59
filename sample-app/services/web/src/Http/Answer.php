<?php

declare(strict_types=1);

namespace Academy\Http;

final readonly class Answer
{
    public function __construct(public int $status, public string $body)
    {
    }

    /** @return array<string, mixed>|null null when the body is not a JSON object or list */
    public function json(): ?array
    {
        $decoded = json_decode($this->body, true);

        return is_array($decoded) ? $decoded : null;
    }
}
