"""What a user says of columns of a table: it replaces what the inspection found of these, and of no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnclassify.config.suggest.column_facts import GROUP, IDENTIFIER, SPLIT, ColumnFacts
from nnclassify.config.suggest.document import CHOSEN
from nnclassify.data.tables.column_kinds import Kind, column_of, declared_kinds
from nnclassify.data.tables.encoding import AnyColumn, NumberColumn, NumericColumn
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.errors import ConfigPath, DataError

TIME = "its dates are in order: the newest are the test split"
ROLES = {"id": IDENTIFIER, "group": GROUP, "time": TIME, "split": SPLIT}
"""Options that name one column, which is not a feature, with the reason."""
LISTS = ("features", "ignore", "categories", "dates", "numbers", "quantile_transform")
"""Options that name columns: those that a user names are added to those that were found."""


@dataclass(frozen=True)
class ChosenColumns:
    """The options on columns that a user has set.

    Attributes:
        values: Each as in YAML.
        kinds: The kind of each column in `categories`, `dates` and `numbers`.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Csv, values: Mapping[str, Any]) -> ChosenColumns:
        """Return the options that a user has set, also as in YAML (`values`); `auto` and null name no columns."""
        categories = None if dataset.categories == "auto" else dataset.categories
        kinds = declared_kinds(categories, dataset.dates, dataset.numbers)
        return cls({key: values[key] for key in (*LISTS, *ROLES) if values.get(key) not in (None, "auto")}, kinds)

    def columns(self, option: str) -> list[str]:
        """Return the columns of an option of `LISTS`."""
        return [*self.values.get(option, ())]

    def mapping(self, option: str, usual: Any) -> dict[str, Any]:
        """Return the columns of an option with what is said of each; `usual` in a list of names."""
        value = self.values.get(option, ())
        return dict(value) if isinstance(value, dict) else dict.fromkeys(value, usual)

    def features(self) -> set[str]:
        """Return the columns that the user wants as features."""
        return {*self.columns("features"), *self.kinds, *self.columns("quantile_transform")}

    def named(self) -> dict[str, str]:
        """Return all columns that the options name, each with its option."""
        roles = {self.values[option]: f"dataset.{option}" for option in ROLES if option in self.values}
        return {name: f"dataset.{option}" for option in LISTS for name in self.columns(option)} | roles

    def lists(self, path: ConfigPath) -> bool:
        """Return whether a key of the config is one of the options of `LISTS` that the user has set, or within it."""
        return path[:1] == ("dataset",) and len(path) > 1 and path[1] in LISTS and path[1] in self.values

    def assign_roles(self, columns: Sequence[ColumnFacts]) -> None:
        """Set aside the columns that the user names as no features."""
        role_of = {self.values[option]: why for option, why in ROLES.items() if option in self.values}
        listed = self.values.get("features")
        for facts in columns:
            is_left_out = listed is not None and facts.name not in listed
            if facts.name in role_of or facts.name in self.columns("ignore") or is_left_out:
                facts.column, facts.why_ignored = None, role_of.get(facts.name, CHOSEN)
            elif {*role_of.values()} - {IDENTIFIER} and facts.why_ignored in (GROUP, TIME):
                facts.why_ignored, _, _ = facts.why_ignored.partition(":")  # splits are drawn by another column

    def assign_kinds(self, path: str, columns: Sequence[ColumnFacts], decimal: str) -> None:
        """Use the columns of a file that the user wants as features, of the kinds that are set.

        Raises:
            DataError: The texts of a column are not of its kind.
        """
        for facts in columns:
            if facts.name not in self.features():
                continue
            if facts.name in self.kinds:
                facts.column = _of_kind(path, facts, self.kinds[facts.name], decimal)
            elif facts.column is None or (
                facts.name in self.columns("quantile_transform") and not isinstance(facts.column, NumericColumn)
            ):
                facts.column = NumberColumn(name=facts.name)
            facts.why_ignored, facts.is_trimmed, facts.is_coded = "", False, False


NONE_CHOSEN = ChosenColumns()
"""A user who says nothing of columns."""


def _of_kind(path: str, facts: ColumnFacts, kind: Kind, decimal: str) -> AnyColumn:
    try:
        return column_of(facts.name, kind, facts.counts, decimal)
    except DataError as error:
        raise DataError(f"{path}: column {facts.name!r}: {error}") from error
