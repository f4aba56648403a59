<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Queue\Enrolment;

final class EnrolmentTest extends TestCase
{
    public function testNameIsTidied(): void
    {
        $this->same('Ada Lovelace', Enrolment::of("  Ada \t Lovelace\n", 'sql-basics')->student);
        $this->same('Zoë Ångström', Enrolment::of('Zoë Ångström', 'sql-basics')->student);
        $this->same(60, mb_strlen(Enrolment::of(str_repeat('ö', 60), 'sql-basics')->student));
    }

    public function testBadFieldsAreRefused(): void
    {
        foreach ([
            ['', 'sql-basics', 'enter your name'],
            [" \u{00a0} ", 'sql-basics', 'enter your name'],
            [str_repeat('x', 61), 'sql-basics', 'longer than 60'],
            ["Ada\u{0007}", 'sql-basics', 'cannot show'],
            ["Ada\xff", 'sql-basics', 'cannot read'],
            ['Ada', '', 'choose a course'],
            ['Ada', '../secrets', 'choose a course'],
            ['Ada', "sql-basics\n", 'choose a course'],
        ] as [$student, $course, $message]) {
            $this->throws(\InvalidArgumentException::class, fn () => Enrolment::of($student, $course), $message);
        }
    }

    public function testJsonAndBack(): void
    {
        $enrolment = Enrolment::of('Zoë "Z" Ångström', 'sql-basics');
        $back = Enrolment::fromJson($enrolment->toJson());
        $this->same([$enrolment->student, $enrolment->course], [$back->student, $back->course]);
    }

    public function testOtherJsonIsRefused(): void
    {
        foreach (['', 'null', '[]', '{"student": "Ada"}', '{"student": ["Ada"], "course": "sql-basics"}'] as $json) {
            $this->throws(\InvalidArgumentException::class, fn () => Enrolment::fromJson($json));
        }
    }
}
