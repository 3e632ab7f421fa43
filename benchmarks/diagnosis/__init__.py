"""How well `nnclassify check` tells faulty configs from healthy ones."""
