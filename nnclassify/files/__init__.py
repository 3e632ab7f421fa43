"""Bytes on disk, knowing nothing of networks: atomic writes, checked reading, the cache folder, shipped configs."""
