"""Client of the grades service."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from .model import Course


class GradesUnavailable(Exception):
    """The grades service did not give a usable answer."""


class Grades:
    def __init__(self, url: str, timeout: float = 2.0) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout

    def courses(self) -> list[Course]:
        try:
            return [
                Course(c["id"], c["title"], frozenset(c["topics"]))
                for c in self._get("/v1/courses")["courses"]
            ]
        except (KeyError, TypeError) as error:
            raise GradesUnavailable(f"unexpected list of courses: {error!r}") from error

    def points(self, student: str) -> dict[str, int]:
        path = "/v1/students/" + urllib.parse.quote(student, safe="") + "/grades"
        try:
            return {g["course"]: g["points"] for g in self._get(path)["grades"]}
        except (KeyError, TypeError) as error:
            raise GradesUnavailable(f"unexpected list of grades: {error!r}") from error

    def _get(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(self._url + path, timeout=self._timeout) as response:
                return json.load(response)
        except (OSError, ValueError) as error:  # URLError is an OSError, bad JSON a ValueError
            raise GradesUnavailable(f"GET {path}: {error}") from error
