"""Suggests courses to a student of the academy.

model.py decides what to suggest, grades.py asks the grades service what the
decision needs, server.py answers HTTP requests. Only the standard library is used.
"""

VERSION = "1.4.2"
