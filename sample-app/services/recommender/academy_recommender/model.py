"""What to suggest: courses near to those that the student does well in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Course:
    id: str
    title: str
    topics: frozenset[str]


@dataclass(frozen=True)
class Suggestion:
    course: Course
    score: float
    reason: str


def suggest(courses: Sequence[Course], points: Mapping[str, int], limit: int = 3) -> list[Suggestion]:
    """Rank the courses that the student does not take yet.

    points holds the student's result, 0 to 100, by course id. A topic counts as
    much as the student's best result in a course about it, and a course scores
    the mean of its topics, so that broad courses do not win by breadth alone.
    Without results, broad courses come first: they are the best place to start.
    """
    strength: dict[str, float] = {}
    for course in courses:
        if course.id in points:
            for topic in course.topics:
                strength[topic] = max(strength.get(topic, 0.0), points[course.id] / 100)

    suggestions = []
    for course in courses:
        if course.id in points or not course.topics:
            continue
        known = sorted(course.topics & strength.keys(), key=lambda topic: (-strength[topic], topic))
        if strength:
            score = sum(strength[topic] for topic in known) / len(course.topics)
        else:
            score = len(course.topics) / 10
        reason = f"builds on {known[0]}" if known else "something new"
        suggestions.append(Suggestion(course, round(score, 3), reason))
    suggestions.sort(key=lambda s: (-s.score, s.course.title))
    return suggestions[:limit]
