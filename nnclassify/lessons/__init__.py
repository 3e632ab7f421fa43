"""Lessons: first networks that do not learn, each with its healthy twin."""
