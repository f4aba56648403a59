import json
import logging
import threading
import unittest
import urllib.error
import urllib.request
from urllib.parse import quote

from academy_recommender import VERSION
from academy_recommender.grades import Grades, GradesUnavailable
from academy_recommender.model import Course
from academy_recommender.server import Server

COURSES = [
    Course("go", "Services in Go", frozenset({"go", "http"})),
    Course("php", "Web applications in PHP", frozenset({"php", "http"})),
]


class Results:
    """Stands in for the grades service."""

    def __init__(self):
        self.results = {"Zoë Ångström": {"go": 88}}
        self.error = None
        self.asked = threading.Event()
        self.release = threading.Event()
        self.release.set()

    def courses(self):
        self.asked.set()
        self.release.wait(10)
        if self.error:
            raise self.error
        return COURSES

    def points(self, student):
        return self.results.get(student, {})


class ServerTest(unittest.TestCase):
    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.results = Results()
        self.server = Server(("127.0.0.1", 0), self.results)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.server.run_until, args=(self.stop,))
        self.thread.start()

    def tearDown(self):
        self.results.release.set()
        self.stop.set()
        self.thread.join(10)
        self.assertFalse(self.thread.is_alive(), "the server did not stop")
        logging.disable(logging.NOTSET)

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.server_port}{path}", timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_suggestions(self):
        status, body = self.get("/v1/suggestions?student=" + quote("Zoë Ångström"))
        self.assertEqual(status, 200)
        self.assertEqual([(s["course"], s["reason"]) for s in body["suggestions"]], [("php", "builds on http")])

    def test_a_stranger_gets_suggestions_too(self):
        status, body = self.get("/v1/suggestions?student=Nobody")
        self.assertEqual((status, len(body["suggestions"])), (200, 2))

    def test_student_is_needed_once(self):
        self.assertEqual(self.get("/v1/suggestions")[0], 400)
        self.assertEqual(self.get("/v1/suggestions?student=a&student=b")[0], 400)

    def test_without_the_grades_service(self):
        self.results.error = GradesUnavailable("secret details")
        status, body = self.get("/v1/suggestions?student=Ada")
        self.assertEqual(status, 502)
        self.assertNotIn("secret", body["error"])
        self.assertEqual(self.get("/readyz")[0], 200)

    def test_probes_and_version(self):
        self.assertEqual(self.get("/livez")[0], 200)
        self.assertEqual(self.get("/readyz")[0], 200)
        self.assertEqual(self.get("/version"), (200, {"service": "recommender", "version": VERSION}))
        self.assertEqual(self.get("/elsewhere")[0], 404)

    def test_a_request_under_way_is_answered_before_the_server_stops(self):
        self.results.release.clear()
        answers = []
        client = threading.Thread(target=lambda: answers.append(self.get("/v1/suggestions?student=Ada")))
        client.start()
        self.assertTrue(self.results.asked.wait(10))
        self.stop.set()
        self.assertTrue(self.server.draining.wait(10))
        self.results.release.set()
        client.join(10)
        self.assertEqual([status for status, _ in answers], [200])

    def test_client_understands_a_server_of_its_own_kind(self):
        client = Grades(f"http://127.0.0.1:{self.server.server_port}/version")
        with self.assertRaisesRegex(GradesUnavailable, "404"):
            client.courses()


class ClientTest(unittest.TestCase):
    def test_nobody_listens(self):
        with self.assertRaises(GradesUnavailable):
            Grades("http://127.0.0.1:1").points("Ada")


if __name__ == "__main__":
    unittest.main()
