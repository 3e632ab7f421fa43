from pathlib import Path

import pytest

from benchmarks.diagnosis.tables import write_tables
from nnclassify.config import RunConfig, load_config
from nnclassify.diagnosis.case import Rule
from nnclassify.diagnosis.catalogue import PAGES, page_of, page_text
from nnclassify.diagnosis.check import RULES, case_of, suspect
from nnclassify.diagnosis.findings import Suspicion
from nnclassify.errors import InputError
from nnclassify.parts import build_parts

by_page = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.page.id)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder)
    return folder


def suspicions(text: str, folder: Path) -> list[Suspicion]:
    path = folder / "config.yaml"
    path.write_text(text)
    return list(suspect(case_of(build_parts(load_config(str(path)).config))))


@by_page
def test_a_rule_triggers_on_its_example(rule: Rule, tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    assert rule.page.id in [found.page.id for found in suspicions(rule.page.example, tables)]


@by_page
def test_a_near_miss_is_no_strong_suspicion(rule: Rule, tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    found = [one for one in suspicions(rule.page.near_miss, tables) if one.page.id == rule.page.id]
    assert [one.certainty for one in found if one.certainty != "possible"] == []


@by_page
def test_a_change_names_options_that_the_config_knows(
    rule: Rule, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tables)
    families = {*RunConfig.model_fields}
    changes = [change for found in suspicions(rule.page.example, tables) for change in found.changes]
    assert all(path.split(".")[0] in families for change in changes for path in change)


def test_pages_have_unique_ids_and_all_their_parts() -> None:
    assert len(PAGES) >= 40
    for page in PAGES.values():
        assert page.title and page.looks_at and page.why and page.source and page.fix
        assert page.id in page_text(page)


def test_an_unknown_page_names_the_nearest() -> None:
    assert page_of("nn201").title.startswith("softmax")
    with pytest.raises(InputError, match="no such finding"):
        page_of("NN999")
