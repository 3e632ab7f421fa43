"""What a notebook shows of a run: the result, the table of metrics, the curves and the confusion matrix of its page."""

from __future__ import annotations

from typing import Any

from nnclassify.inference.report.card import Card, Confusions, Table
from nnclassify.inference.report.contents import read_run
from nnclassify.inference.report.sections import sections
from nnclassify.runs.folder import RunFolder


def run_card(folder: RunFolder) -> Card:
    """Return what is shown of a run, read from its folder alone, as its page is."""
    run = read_run(folder)
    views = sections(run)
    page = [f"Report: `{folder.report}`"] if folder.report.is_file() else []
    texts = [one for one in (views["banner"], views["result"]) if one]
    return Card(
        f"Run {views['run_name']}",
        views["facts"],
        " ".join(texts),
        [_figures(views["figures"])] if views["figures"]["rows"] else [],
        views["charts"],
        _confusions(views["matrix"]) if views["matrix"] else None,
        [*views["chart_notes"], *views["problems"], *page],
    )


def _figures(figures: dict[str, Any]) -> Table:
    """Return the table of metrics by split, an interval beside each."""

    def text(cell: dict[str, str] | None) -> str:
        if cell is None:
            return "-"
        return f"{cell['value']} ({cell['interval']})" if cell["interval"] else cell["value"]

    rows = [[row["name"], *map(text, row["cells"])] for row in figures["rows"]]
    return Table.of("", ["metric", *figures["splits"]], rows)


def _confusions(view: dict[str, Any]) -> Confusions | None:
    left_out = f"; {view['left_out']} classes with fewer mistakes are left out" if view["left_out"] else ""
    counts = [[cell.count for cell in cells] for _, cells in view["rows"]]
    return Confusions.of(f"confusion matrix of the {view['split']} split{left_out}", view["classes"], counts)
