<?php

declare(strict_types=1);

namespace Academy\Service;

use Academy\Http\Answer;
use Academy\Http\Transport;
use Academy\Http\Unreachable;

/** Client of the grades service. */
final readonly class Grades
{
    public function __construct(private Transport $transport, private string $url, private string $token)
    {
    }

    /** @return list<array{id: string, title: string, topics: list<string>}> */
    public function courses(): array
    {
        return $this->get('/v1/courses')['courses'];
    }

    /** @return list<array{course: string, title: string, points: int, grade: string}> */
    public function of(string $student): array
    {
        return $this->get('/v1/students/' . rawurlencode($student) . '/grades')['grades'];
    }

    /** The version that answers. */
    public function version(): string
    {
        return $this->get('/version')['version'];
    }

    /**
     * Enrols a student. Doing it twice is the same as doing it once.
     *
     * @return array{course: string, title: string, points: int, grade: string}
     */
    public function enrol(string $student, string $course): array
    {
        $answer = $this->send(
            'POST',
            '/v1/enrolments',
            ['student' => $student, 'course' => $course],
            ['Authorization' => "Bearer {$this->token}"],
        );
        // A wrong token is a fault of the deployment, not of the enrolment.
        if ($answer->status >= 400 && $answer->status < 500 && !in_array($answer->status, [401, 403, 408, 429], true)) {
            throw new Rejected($answer->json()['error'] ?? "status {$answer->status}");
        }

        return $this->usable($answer, '/v1/enrolments');
    }

    /** @return array<string, mixed> */
    private function get(string $path): array
    {
        return $this->usable($this->send('GET', $path), $path);
    }

    private function send(string $method, string $path, ?array $body = null, array $headers = []): Answer
    {
        try {
            return $this->transport->send($method, $this->url . $path, $body, $headers);
        } catch (Unreachable $unreachable) {
            throw new Unavailable("grades: {$unreachable->getMessage()}", previous: $unreachable);
        }
    }

    /** @return array<string, mixed> */
    private function usable(Answer $answer, string $path): array
    {
        $body = $answer->json();
        if ($answer->status >= 300 || $body === null) {
            throw new Unavailable("grades: {$path} answers {$answer->status}: " . ($body['error'] ?? 'no reason given'));
        }

        return $body;
    }
}
