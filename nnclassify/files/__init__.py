"""Files on disk: atomic writes, checked reading, the cache folder, shipped configs. Independent of networks."""
