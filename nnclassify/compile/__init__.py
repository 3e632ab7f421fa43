"""One function, made fast: traced, compiled ahead of time, kept on disk, or recorded as a CUDA graph."""
