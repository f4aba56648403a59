import unittest

from academy_recommender.model import Course, suggest

GO = Course("go", "Services in Go", frozenset({"go", "programming", "http"}))
PHP = Course("php", "Web applications in PHP", frozenset({"php", "programming", "http"}))
ALGEBRA = Course("algebra", "Linear algebra", frozenset({"mathematics"}))
ALGORITHMS = Course("algorithms", "Algorithms", frozenset({"mathematics", "programming"}))
EMPTY = Course("empty", "A course about nothing", frozenset())
ALL = [GO, PHP, ALGEBRA, ALGORITHMS, EMPTY]


class SuggestTest(unittest.TestCase):
    def ids(self, points, limit=3):
        return [s.course.id for s in suggest(ALL, points, limit)]

    def test_near_courses_come_first(self):
        self.assertEqual(self.ids({"go": 90}), ["php", "algorithms", "algebra"])

    def test_a_better_result_pulls_harder(self):
        self.assertEqual(self.ids({"php": 95, "algebra": 10})[0], "go")
        self.assertEqual(self.ids({"php": 40, "algebra": 95})[0], "algorithms")

    def test_what_is_taken_is_not_suggested(self):
        self.assertNotIn("go", self.ids({"go": 10}))
        self.assertEqual(self.ids({course.id: 50 for course in ALL}), [])

    def test_a_newcomer_gets_broad_courses(self):
        self.assertEqual(self.ids({}), ["go", "php", "algorithms"])

    def test_limit(self):
        self.assertEqual(self.ids({"go": 90}, limit=1), ["php"])

    def test_a_course_that_is_no_longer_offered_is_ignored(self):
        self.assertEqual(self.ids({"alchemy": 100}), self.ids({}))

    def test_reason_names_the_strongest_topic(self):
        reasons = {s.course.id: s.reason for s in suggest(ALL, {"algebra": 99, "go": 60}, limit=9)}
        self.assertEqual(reasons, {"algorithms": "builds on mathematics", "php": "builds on http"})

    def test_reason_for_something_new(self):
        self.assertEqual(suggest([GO, ALGEBRA], {"go": 80})[0].reason, "something new")


if __name__ == "__main__":
    unittest.main()
