"""Run what README and docs/ show, as written: commands, Python, YAML; and make their pictures again."""
