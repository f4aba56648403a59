<?php

declare(strict_types=1);

namespace Academy\Queue;

/** A student's wish to take a course, as it waits in the queue. */
final readonly class Enrolment
{
    private const MAX_NAME = 60;

    private function __construct(public string $student, public string $course)
    {
    }

    /** @throws \InvalidArgumentException with a message for the person who filled in the form */
    public static function of(string $student, string $course): self
    {
        if (!mb_check_encoding($student, 'UTF-8')) {
            throw new \InvalidArgumentException('The name contains characters that we cannot read.');
        }
        $student = trim(preg_replace('/\s+/u', ' ', $student));
        if ($student === '') {
            throw new \InvalidArgumentException('Please enter your name.');
        }
        if (mb_strlen($student) > self::MAX_NAME) {
            throw new \InvalidArgumentException('The name is longer than ' . self::MAX_NAME . ' characters.');
        }
        if (preg_match('/\p{C}/u', $student) === 1) {
            throw new \InvalidArgumentException('The name contains characters that we cannot show.');
        }
        if (preg_match('/^[a-z0-9-]{1,40}$/D', $course) !== 1) {
            throw new \InvalidArgumentException('Please choose a course.');
        }

        return new self($student, $course);
    }

    /** @throws \InvalidArgumentException */
    public static function fromJson(string $json): self
    {
        $fields = json_decode($json, true);
        if (!is_array($fields) || !is_string($fields['student'] ?? null) || !is_string($fields['course'] ?? null)) {
            throw new \InvalidArgumentException('not an enrolment');
        }

        return self::of($fields['student'], $fields['course']);
    }

    public function toJson(): string
    {
        return json_encode(['student' => $this->student, 'course' => $this->course], JSON_THROW_ON_ERROR);
    }
}
