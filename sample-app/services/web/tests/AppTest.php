<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Log\Logger;
use Academy\Queue\Queue;
use Academy\Service\Grades;
use Academy\Service\Recommender;
use Academy\Web\App;
use Academy\Web\Request;
use Academy\Web\Response;
use Academy\Web\Templates;

final class AppTest extends TestCase
{
    private readonly FakeTransport $transport;
    private readonly FakeRedis $redis;
    private readonly Queue $queue;
    private readonly App $app;

    public function __construct()
    {
        $this->transport = new FakeTransport();
        $this->redis = new FakeRedis();
        $this->queue = new Queue($this->redis);
        $this->app = new App(
            new Grades($this->transport, 'http://grades', 'secret'),
            new Recommender($this->transport, 'http://recommender'),
            $this->queue,
            new Templates(__DIR__ . '/../templates'),
            new Logger($this->folder() . '/app.log', 'app'),
        );
        $this->transport->answer('GET http://grades/v1/courses', ['courses' => [
            ['id' => 'go-services', 'title' => 'Services in Go', 'topics' => ['go', 'http']],
            ['id' => 'sql-basics', 'title' => 'SQL & <friends>', 'topics' => ['sql']],
        ]]);
    }

    public function testCoursesAreListed(): void
    {
        $page = $this->get('/');
        $this->same(200, $page->status);
        $this->contains('data-course="go-services"', $page->body);
        $this->contains('SQL &amp; &lt;friends&gt;', $page->body);
        $this->contains('<title>Courses · Academy</title>', $page->body);
    }

    public function testASuggestionFillsInTheForm(): void
    {
        $page = $this->get('/', ['student' => 'Ada "A"', 'course' => 'sql-basics']);
        $this->contains('value="Ada &quot;A&quot;"', $page->body);
        $this->contains('<option value="sql-basics" selected>', $page->body);
    }

    public function testEnrolmentIsQueuedAndShownAsWaiting(): void
    {
        $answer = $this->post('/enrol', ['student' => ' Ada  Lovelace ', 'course' => 'go-services']);
        $this->same(303, $answer->status);
        $this->contains('/grades?student=Ada+Lovelace&course=go-services', $answer->headers['Location']);
        $this->same(1, $this->queue->length());

        $this->grades('Ada%20Lovelace', []);
        parse_str(parse_url($answer->headers['Location'], PHP_URL_QUERY), $query);
        $page = $this->get('/grades', $query);
        $this->contains('is being handled', $page->body);
        $this->contains('http-equiv="refresh"', $page->body);
    }

    public function testEnrolmentNeedsNothingButTheQueue(): void
    {
        $this->transport->answers = [];
        $this->same(303, $this->post('/enrol', ['student' => 'Ada', 'course' => 'go-services'])->status);
    }

    public function testABadFormComesBack(): void
    {
        $page = $this->post('/enrol', ['student' => ' ', 'course' => 'sql-basics']);
        $this->same(422, $page->status);
        $this->contains('Please enter your name.', $page->body);
        $this->contains('<option value="sql-basics" selected>', $page->body);
        $this->same(0, $this->queue->length());
    }

    public function testALostEnrolmentIsNotAwaitedForEver(): void
    {
        $this->grades('Ada', []);
        $page = $this->get('/grades', ['student' => 'Ada', 'course' => 'go-services', 'since' => (string) (time() - 60)]);
        $this->contains('longer than usual', $page->body);
        $this->lacks('http-equiv="refresh"', $page->body);
    }

    public function testGradesAndSuggestionsAreShown(): void
    {
        $this->grades('Ada', [['course' => 'go-services', 'title' => 'Services in Go', 'points' => 91, 'grade' => 'A']]);
        $this->transport->answer('GET http://recommender/v1/suggestions?student=Ada', ['suggestions' => [
            ['course' => 'sql-basics', 'title' => 'SQL & <friends>', 'score' => 0.5, 'reason' => 'something new'],
        ]]);
        $page = $this->get('/grades', ['student' => 'Ada', 'course' => 'go-services', 'since' => (string) time()]);
        $this->contains('data-course="go-services" data-grade="A"', $page->body);
        $this->contains('data-suggestion="sql-basics"', $page->body);
        $this->contains('SQL &amp; &lt;friends&gt;', $page->body);
        $this->lacks('data-waiting', $page->body);
    }

    public function testGradesAreShownWithoutTheRecommender(): void
    {
        $this->grades('Ada', [['course' => 'go-services', 'title' => 'Services in Go', 'points' => 91, 'grade' => 'A']]);
        $page = $this->get('/grades', ['student' => 'Ada']);
        $this->same(200, $page->status);
        $this->contains('data-grade="A"', $page->body);
        $this->contains('No suggestions at the moment', $page->body);
    }

    public function testWithoutTheGradesServiceThePageSaysSo(): void
    {
        $this->transport->answers = [];
        foreach ([$this->get('/'), $this->get('/grades', ['student' => 'Ada'])] as $page) {
            $this->same(503, $page->status);
            $this->lacks('refused', $page->body);
        }
    }

    public function testWithoutRedisNobodyIsPromisedAnything(): void
    {
        $this->redis->away = true;
        $this->same(503, $this->post('/enrol', ['student' => 'Ada', 'course' => 'go-services'])->status);
    }

    public function testStatusTellsThePartsApart(): void
    {
        $this->transport->answer('GET http://grades/version', ['version' => '1.2.3']);
        $page = $this->get('/status');
        $this->same(503, $page->status);
        $this->contains('data-part="grades" data-ok="yes"', $page->body);
        $this->contains('data-part="recommender" data-ok="no"', $page->body);

        $this->transport->answer('GET http://recommender/version', ['version' => '1.2.3']);
        $this->same(200, $this->get('/status')->status);
    }

    public function testReadyAsksNobody(): void
    {
        $this->transport->answers = [];
        $this->redis->away = true;
        $this->same(200, $this->get('/ready')->status);
    }

    public function testOtherAddressesAndMethods(): void
    {
        $this->same(404, $this->get('/elsewhere')->status);
        $this->same(405, $this->get('/enrol')->status);
        $this->same(405, $this->post('/', [])->status);
        $this->same(200, $this->app->handle(new Request('HEAD', '/'))->status);
        $this->same(200, $this->get('/grades')->status);
        $this->same(422, $this->get('/grades', ['student' => str_repeat('x', 201)])->status);
    }

    /** @param array<string, string> $query */
    private function get(string $path, array $query = []): Response
    {
        return $this->app->handle(new Request('GET', $path, $query));
    }

    /** @param array<string, string> $form */
    private function post(string $path, array $form): Response
    {
        return $this->app->handle(new Request('POST', $path, [], $form));
    }

    /** @param list<array<string, mixed>> $grades */
    private function grades(string $encodedStudent, array $grades): void
    {
        $this->transport->answer("GET http://grades/v1/students/{$encodedStudent}/grades", ['grades' => $grades]);
    }
}
