<?php

declare(strict_types=1);

namespace Academy\Http;

/** How the clients of other services send their requests. */
interface Transport
{
    /**
     * @param array<string, mixed>|null $body    sent as JSON
     * @param array<string, string>     $headers
     *
     * @throws Unreachable there is no answer, or none in time
     */
    public function send(string $method, string $url, ?array $body = null, array $headers = []): Answer;
}
