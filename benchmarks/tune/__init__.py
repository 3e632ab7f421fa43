"""How far `nnclassify tune` gets on the irises, and whether it survives kills."""
