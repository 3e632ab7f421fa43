"""Overrides and runs on the command line.

`optimizer.lr=0.1` is the same as `--set optimizer.lr=0.1`, and `--lr 0.1` is short for either. If one form sets a key
several times, the last value is used. Two forms that set a key to different values are an error, because their order
on the command line is not known here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence

from nnclassify.config.run_config import RunConfig
from nnclassify.config.yaml_reader import UNSET, Override, path_of_key
from nnclassify.errors import InputError, some, suggestion
from nnclassify.runs.folder import CHECKPOINTS

SHORT = {
    "epochs": "epochs",
    "lr": "optimizer.lr",
    "seed": "seed",
    "batch_size": "batch_size",
    "device": "device",
    "label": "dataset.label",
    "folds": "dataset.folds",
}
"""The keys that the short options set, by parameter name."""
OF_A_RUN = ("dataset", "evaluation")
"""The sections of the config that can be overridden for a trained run."""
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\.[A-Za-z0-9_]+)*=")


def gathered(set_options: Sequence[str] | None, words: Sequence[str] | None, **short: str | None) -> list[str]:
    """Collect the overrides of a command line in the order in which they apply: --set, words, short options.

    Args:
        set_options: The values of `--set`.
        words: `key=value` without an option.
        short: The values of the options in `SHORT`, or None.

    Raises:
        InputError: Two forms set a key to different values, or a later form would undo an earlier one.
    """
    given = {name: value for name, value in short.items() if value is not None}
    forms = [
        [Override.of(assignment) for assignment in set_options or []],
        [Override(word, word) for word in words or []],
        [_short_form(name, value) for name, value in given.items()],
    ]
    for place, form in enumerate(forms):
        for later in form:
            for earlier in (override for before in forms[:place] for override in before):
                _refuse_conflict(earlier, later)
    return [override for form in forms for override in form]


def _short_form(name: str, value: str) -> Override:
    """Return the override of a short option; the name of a column is text, even if it is a number in YAML."""
    text = json.dumps(value) if name == "label" and not value.startswith("[") else value
    return Override(f"{SHORT[name]}={text}", f"--{name.replace('_', '-')} {value}")


def _refuse_conflict(earlier: Override, later: Override) -> None:
    key, later_key = (override.partition("=")[0] for override in (earlier, later))
    path, later_path = path_of_key(key), path_of_key(later_key)
    if path[: len(later_path)] == later_path != path:
        what = f"the second replaces all of {later_key}; write both with --set, in the order that you mean"
    elif later_path[: len(path)] == path and earlier.at(later_path) not in (UNSET, later.at(later_path)):
        what = f"both set {later_key}; leave one of them out"
    else:
        return
    raise InputError(f"{earlier.origin} and {later.origin}: {what}")


def part(words: Sequence[str], instead: str, settable: Sequence[str] = OF_A_RUN) -> tuple[list[str], list[str]]:
    """Return the runs, files and values among words, and the overrides.

    A word is an override if it has the form `key=value` and its key begins with a key of the config. If a run or a file
    has the same name, the word means that one, unless the key can be set here: then the word is ambiguous.

    Args:
        words: The words.
        instead: The unambiguous way to name a run or a file, for the message; `{}` stands for the word.
        settable: The keys of the config that can be set here.

    Raises:
        InputError: A word is ambiguous, or looks like an override with a misspelled key.
    """
    names: list[str] = []
    overrides: list[str] = []
    for word in words:
        found = _KEY.match(word)
        if found is None or _is_there(word):
            if found is not None and found[1] in settable:
                raise InputError(
                    f"{word}: both an override and a run or a file; write --set {word}, or {instead.format(word)}"
                )
            names.append(word)
        elif found[1] in RunConfig.model_fields:
            overrides.append(word)
        elif hint := suggestion(found[1], RunConfig.model_fields):
            raise InputError(f"{word}: no such file or run, and no key of the config begins with {found[1]!r}{hint}")
        else:
            names.append(word)
    return names, overrides


def _is_there(word: str) -> bool:
    return any(os.path.lexists(path) for path in (word, CHECKPOINTS / word))


def one_run(names: Sequence[str], option: str | None) -> str | None:
    """Return the run that is named by a word or by `--run`, or None.

    Raises:
        InputError: Two runs are named.
    """
    if len(names) > 1:
        raise InputError(f"RUN: found {some(names)}; expected one run, and overrides such as evaluation.tta=mirror")
    if names and option is not None and names[0] != option:
        raise InputError(f"{names[0]} and --run {option}: found two runs, expected one")
    return names[0] if names else option


def all_runs(names: Sequence[str] | None, options: Sequence[str] | None) -> list[str]:
    """Return the runs to compare, named by words or by `--run`.

    Raises:
        InputError: No run is named, or words and `--run` name different runs.
    """
    if names and options and list(names) != list(options):
        raise InputError(f"{some(names)} and --run {some(options)}: different runs; use either words or --run")
    if found := list(names or options or []):
        return found
    raise InputError("RUN: missing; expected runs, run folders or checkpoints")


def run_and_overrides(
    run: str | None, words: Sequence[str] | None, option: str | None, set_options: Sequence[str] | None
) -> tuple[str | None, list[str]]:
    """Return the run that a command uses (None: the newest) and its overrides.

    Args:
        run: The first word, or None.
        words: The other words.
        option: The value of `--run`.
        set_options: The values of `--set`.

    Raises:
        InputError: Words that are ambiguous or contradict each other.
    """
    names, overrides = part([*([] if run is None else [run]), *(words or [])], "--run {}")
    return one_run(names, option), gathered(set_options, overrides)


def inputs_and_overrides(words: Sequence[str], set_options: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the inputs to predict and the overrides.

    Raises:
        InputError: There is no input, or words are ambiguous or contradict each other.
    """
    names, overrides = part(words, "./{}")
    if not names:
        raise InputError("INPUT: missing; expected images, folders, CSV or tensor files, or values such as -1.5,2,3")
    return names, gathered(set_options, overrides)


def config_and_overrides(
    config: str | None, words: Sequence[str] | None, option: str | None, *, takes_run: bool
) -> tuple[str, list[str]]:
    """Return the config or run that a command takes, and the overrides.

    Args:
        config: The first word, or None: CONFIG, or with `--run` an override.
        words: The other words.
        option: The value of `--run`.
        takes_run: Whether it may be a run: for `train`, with `--resume`.

    Raises:
        InputError: There is no config, there are two runs, or `--run` is given where there may be no run.
    """
    if option is None:
        if config is None:
            raise InputError(
                "CONFIG: missing; expected a YAML file, a name from `nnclassify configs`, or your data: a folder of "
                "images, a table or an .npz file"
            )
        return config, list(words or [])
    if not takes_run:
        raise InputError(f"--run {option}: names the run that --resume continues; add --resume, or give a CONFIG")
    names, overrides = part([*([] if config is None else [config]), *(words or [])], "./{}", settable=())
    one_run(names, option)
    return option, overrides
