"""`python -m nnclassify` is the same program as `nnclassify`."""

from nnclassify.cli import main

main()
