"""One image file: its bytes to an array of shape (C, H, W). Light to import, for processes that only decode."""
