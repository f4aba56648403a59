<?php

declare(strict_types=1);

namespace Academy\Service;

use Academy\Http\Transport;
use Academy\Http\Unreachable;

/** Client of the recommender. */
final readonly class Recommender
{
    public function __construct(private Transport $transport, private string $url)
    {
    }

    /** @return list<array{course: string, title: string, score: float, reason: string}> */
    public function suggestions(string $student): array
    {
        return $this->get('/v1/suggestions?student=' . rawurlencode($student))['suggestions'];
    }

    /** The version that answers. */
    public function version(): string
    {
        return $this->get('/version')['version'];
    }

    /** @return array<string, mixed> */
    private function get(string $path): array
    {
        try {
            $answer = $this->transport->send('GET', $this->url . $path);
        } catch (Unreachable $unreachable) {
            throw new Unavailable("recommender: {$unreachable->getMessage()}", previous: $unreachable);
        }
        $body = $answer->json();
        if ($answer->status >= 300 || $body === null) {
            throw new Unavailable("recommender: {$path} answers {$answer->status}: " . ($body['error'] ?? 'no reason given'));
        }

        return $body;
    }
}
