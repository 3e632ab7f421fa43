"""The version of the package, apart from the front door so that any module may ask for it."""

__version__ = "0.1.0"
