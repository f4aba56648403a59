<?php

declare(strict_types=1);

namespace Academy\Web;

use Academy\Log\Logger;
use Academy\Queue\Enrolment;
use Academy\Queue\Queue;
use Academy\Redis\ConnectionLost;
use Academy\Redis\ServerError;
use Academy\Service\Grades;
use Academy\Service\Recommender;
use Academy\Service\Unavailable;
use Academy\Settings;

/**
 * The web pages.
 *
 *   GET  /         the courses, and the form to enrol
 *   POST /enrol    puts the enrolment into the queue
 *   GET  /grades   a student's grades, and what to take next
 *   GET  /status   which parts of the platform answer
 *   GET  /ready    readiness probe: PHP itself works
 */
final readonly class App
{
    /** While an enrolment is younger than this many seconds, the page waits for it by itself. */
    private const PATIENCE = 30;

    public function __construct(
        private Grades $grades,
        private Recommender $recommender,
        private Queue $queue,
        private Templates $templates,
        private Logger $log,
    ) {
    }

    public function handle(Request $request): Response
    {
        $routes = [
            '/' => ['GET', $this->courses(...)],
            '/enrol' => ['POST', $this->enrol(...)],
            '/grades' => ['GET', $this->grades(...)],
            '/status' => ['GET', $this->status(...)],
            '/ready' => ['GET', static fn (): Response => Response::text("ready\n")],
        ];
        [$method, $page] = $routes[$request->path] ?? [null, null];
        if ($page === null) {
            return $this->problem(404, 'Not found', 'There is no such page.');
        }
        if ($request->method !== $method && !($method === 'GET' && $request->method === 'HEAD')) {
            return $this->problem(405, 'Not possible', "This address takes {$method} requests only.");
        }
        try {
            return $page($request);
        } catch (Unavailable|ConnectionLost|ServerError $error) {
            $this->log->error('page failed', ['path' => $request->path, 'error' => $error->getMessage()]);

            return $this->problem(503, 'Not available', 'A part of the platform does not answer at the moment. Please try again soon.');
        }
    }

    private function courses(Request $request): Response
    {
        return $this->form($this->grades->courses(), $request->query('student'), $request->query('course'));
    }

    private function enrol(Request $request): Response
    {
        try {
            $enrolment = Enrolment::of($request->form('student'), $request->form('course'));
        } catch (\InvalidArgumentException $invalid) {
            return $this->form(
                $this->grades->courses(),
                $request->form('student'),
                $request->form('course'),
                $invalid->getMessage(),
            );
        }
        $this->queue->push($enrolment);
        $this->log->info('enrolment queued', ['student' => $enrolment->student, 'course' => $enrolment->course]);

        return Response::seeOther('/grades?' . http_build_query([
            'student' => $enrolment->student,
            'course' => $enrolment->course,
            'since' => time(),
        ]));
    }

    /** @param list<array{id: string, title: string, topics: list<string>}> $courses */
    private function form(array $courses, string $student, string $course, string $complaint = ''): Response
    {
        $page = $this->templates->page('courses', 'Courses', [
            'courses' => $courses,
            'student' => $student,
            'chosen' => $course,
            'complaint' => $complaint,
        ]);

        return Response::html($page, $complaint === '' ? 200 : 422);
    }

    private function grades(Request $request): Response
    {
        $student = $request->query('student');
        if ($student === '') {
            return Response::html($this->templates->page('student', 'Grades'));
        }
        if (mb_strlen($student) > 200) {
            return $this->problem(422, 'Not possible', 'This is too long for a name.');
        }
        $grades = $this->grades->of($student);
        $awaited = $request->query('course');
        $waiting = $awaited !== '' && !in_array($awaited, array_column($grades, 'course'), true);
        $young = time() - (int) $request->query('since') < self::PATIENCE;

        return Response::html($this->templates->page('grades', "Grades of {$student}", [
            'student' => $student,
            'grades' => $grades,
            'suggestions' => $this->suggestions($student),
            'waiting' => $waiting,
            'reload' => $waiting && $young,
        ]));
    }

    /**
     * Grades are worth showing without suggestions.
     *
     * @return list<array{course: string, title: string, score: float, reason: string}>|null
     */
    private function suggestions(string $student): ?array
    {
        try {
            return $this->recommender->suggestions($student);
        } catch (Unavailable $error) {
            $this->log->warning('no suggestions', ['error' => $error->getMessage()]);

            return null;
        }
    }

    private function status(): Response
    {
        $parts = ['web' => ['ok' => true, 'detail' => 'version ' . Settings::VERSION]];
        $checks = [
            'queue' => fn (): string => $this->queue->length() . ' waiting',
            'grades' => fn (): string => 'version ' . $this->grades->version(),
            'database' => fn (): string => count($this->grades->courses()) . ' courses',
            'recommender' => fn (): string => 'version ' . $this->recommender->version(),
        ];
        foreach ($checks as $part => $check) {
            try {
                $parts[$part] = ['ok' => true, 'detail' => $check()];
            } catch (Unavailable|ConnectionLost|ServerError $error) {
                $this->log->warning('part of the platform is away', ['part' => $part, 'error' => $error->getMessage()]);
                $parts[$part] = ['ok' => false, 'detail' => 'does not answer'];
            }
        }
        $healthy = !in_array(false, array_column($parts, 'ok'), true);

        return Response::html($this->templates->page('status', 'Status', ['parts' => $parts]), $healthy ? 200 : 503);
    }

    private function problem(int $status, string $title, string $message): Response
    {
        return Response::html($this->templates->page('problem', $title, ['title' => $title, 'message' => $message]), $status);
    }
}
