"""The HTTP side.

GET /v1/suggestions?student=NAME   courses for the student, best first
GET /version                       the version that answers
GET /livez, /readyz                probes
"""

import json
import logging
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from . import VERSION
from .grades import GradesUnavailable
from .model import Course, suggest

log = logging.getLogger(__name__)


class Results(Protocol):
    """What the server needs of the grades service."""

    def courses(self) -> list[Course]: ...

    def points(self, student: str) -> dict[str, int]: ...


class Server(ThreadingHTTPServer):
    # server_close() waits for the requests that are under way.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], results: Results) -> None:
        super().__init__(address, Handler)
        self.results = results
        self.draining = threading.Event()

    def run_until(self, stop: threading.Event) -> None:
        """Serve until stop is set, then finish what is under way."""
        serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1})
        serving.start()
        stop.wait()
        self.draining.set()
        self.shutdown()
        serving.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10  # seconds that a sender may take over its request

    def do_GET(self) -> None:
        started = time.monotonic()
        url = urlsplit(self.path)
        status, body = self.answer(url.path, url.query)
        payload = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
        if url.path not in ("/livez", "/readyz"):
            milliseconds = round((time.monotonic() - started) * 1000)
            log.info("request", extra={"fields": {"path": url.path, "status": int(status), "ms": milliseconds}})

    def answer(self, path: str, query: str) -> tuple[HTTPStatus, dict[str, Any]]:
        match path:
            case "/v1/suggestions":
                return self.suggestions(query)
            case "/version":
                return HTTPStatus.OK, {"service": "recommender", "version": VERSION}
            case "/livez":
                return HTTPStatus.OK, {"status": "ok"}
            case "/readyz":
                # Without the grades service there are no suggestions, but taking
                # these pods away as well would not help anyone.
                if self.server.draining.is_set():
                    return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "shutting down"}
                return HTTPStatus.OK, {"status": "ready"}
        return HTTPStatus.NOT_FOUND, {"error": f"there is no {path}"}

    def suggestions(self, query: str) -> tuple[HTTPStatus, dict[str, Any]]:
        students = parse_qs(query).get("student", [])
        if len(students) != 1:
            return HTTPStatus.BAD_REQUEST, {"error": "want one parameter: student"}
        try:
            courses = self.server.results.courses()
            points = self.server.results.points(students[0])
        except GradesUnavailable as error:
            log.warning("no suggestions: %s", error)
            return HTTPStatus.BAD_GATEWAY, {"error": "the grades service does not answer"}
        return HTTPStatus.OK, {
            "student": students[0],
            "suggestions": [
                {"course": s.course.id, "title": s.course.title, "score": s.score, "reason": s.reason}
                for s in suggest(courses, points)
            ],
        }

    def log_message(self, format: str, *args: Any) -> None:
        # Only what http.server has to say beyond the line of do_GET: errors.
        pass

    def log_error(self, format: str, *args: Any) -> None:
        log.warning(format, *args)
