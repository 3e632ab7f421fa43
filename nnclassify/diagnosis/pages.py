"""All pages by id. Reading one does not need torch."""

from __future__ import annotations

from textwrap import indent

from nnclassify.config.finding_ids import no_such_finding
from nnclassify.diagnosis import outcome_pages
from nnclassify.diagnosis.audit import pages as audit_pages
from nnclassify.diagnosis.findings import Page
from nnclassify.diagnosis.monitor import pages
from nnclassify.diagnosis.rules import architecture, data, optimization, output_and_loss, untrained_network
from nnclassify.errors import InputError

_MODULES = (data, output_and_loss, architecture, optimization, untrained_network, audit_pages, outcome_pages, pages)
PAGES = {page.id: page for module in _MODULES for page in vars(module).values() if isinstance(page, Page)}


def page_of(page_id: str) -> Page:
    """Return the page with that id.

    Raises:
        InputError: There is none.
    """
    page = PAGES.get(page_id.upper())
    if page is None:
        raise InputError(f"{page_id or 'ID'}: {no_such_finding(page_id)}")
    return page


def page_text(page: Page) -> str:
    """Return a page as text for the terminal."""
    parts = [
        f"{page.id}: {page.title}",
        f"What it looks at\n  {page.looks_at}",
        f"Why it matters\n  {page.why}\n  Source: {page.source}",
        f"What to do\n  {page.fix}",
    ]
    if page.example:
        parts.append(f"A config that triggers it\n{indent(page.example, '  ').rstrip()}")
    if page.near_miss:
        parts.append(f"A similar config that does not trigger it\n{indent(page.near_miss, '  ').rstrip()}")
    return "\n\n".join(parts)
