"""`nnclassify audit`: what is wrong with the data of a config.

The cheap rules about data are those of `check`; each module beside this one looks for one more kind of fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from nnclassify.config.run_config import LoadedConfig
from nnclassify.config.yaml_reader import path_of_key
from nnclassify.data.transform import Transform, fit_normalization
from nnclassify.diagnosis.audit import own_network
from nnclassify.diagnosis.audit.columns import columns
from nnclassify.diagnosis.audit.duplicates import duplicates
from nnclassify.diagnosis.audit.flags import Flag, Found
from nnclassify.diagnosis.audit.image_quality import image_quality
from nnclassify.diagnosis.audit.labels import wrong_labels
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.outliers import outliers
from nnclassify.diagnosis.audit.progress import Progress, expected_seconds
from nnclassify.diagnosis.audit.shift import shift
from nnclassify.diagnosis.findings import SEVERITIES, Finding
from nnclassify.diagnosis.rules import data
from nnclassify.diagnosis.rules.facts import data_facts
from nnclassify.diagnosis.rules.rule import RuleInputs, suspect

ALWAYS: tuple[Callable[[Material], Found], ...] = (duplicates, wrong_labels, outliers, shift)
LONG = 10.0
"""Expected seconds from which on they are announced."""


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        material: The examples.
        findings: The findings, faults first.
        flags: The examples and columns that something is odd about, by kind, the oddest first.
        notes: What the user should know of the data, and what was not looked for.
        seconds: How long it took.
    """

    material: Material
    findings: list[Finding]
    flags: list[Flag]
    notes: list[str]
    seconds: float

    @property
    def has_fault(self) -> bool:
        """Whether the figures of a test on these data would be wrong."""
        return any(finding.severity == "fault" for finding in self.findings)

    def of_kind(self, *kinds: str) -> list[Flag]:
        """Return the flags of these kinds."""
        return [flag for flag in self.flags if flag.kind in kinds]


def audit(loaded: LoadedConfig, note: Callable[[str], None], *, with_network: bool = False) -> Audit:
    """Look for everything that is wrong with the data of a config.

    Args:
        loaded: The config.
        note: Receives how long it will take, where that is long.
        with_network: Whether the network of the config judges the labels, trained once for each of five folds.

    Raises:
        DataError: The data cannot be read or learned from.
        NNClassifyError: A training of the network fails.
    """
    started = time.perf_counter()
    config = loaded.config.completed()
    splits = config.dataset.build(config.seed)
    with closing(Progress()) as progress:
        material = Material(loaded, splits, progress, with_network)
        expected = expected_seconds(len(material), is_images=material.is_images)
        expected += own_network.expected_seconds(config, splits, len(material)) if with_network else 0.0
        if expected > LONG:
            note(f"audit of {len(material):,} examples: about {_duration(expected)} on an idle core")
        parts = [*ALWAYS, image_quality] if material.is_images else [*ALWAYS, columns]
        found = [Found(_known(loaded, material)), *(part(material) for part in parts)]
    findings = sorted(
        (finding for one in found for finding in one.findings), key=lambda finding: SEVERITIES.index(finding.severity)
    )
    return Audit(
        material,
        findings,
        [flag for one in found for flag in one.flags],
        [*loaded.notes, *splits.notes, *(text for one in found for text in one.notes)],
        time.perf_counter() - started,
    )


def _known(loaded: LoadedConfig, material: Material) -> list[Finding]:
    """Return what the rules of `check` find in the data alone."""
    splits, config = material.splits, loaded.config
    train = splits.train
    shift_, scale = fit_normalization(train.inputs, train.indices, "standard", splits.encoder)
    transform = Transform(splits.input_shape, splits.image_format, splits.feature_names, shift_, scale, splits.encoder)
    given = RuleInputs(
        config=config,
        hidden_layers=[],
        facts=data_facts(splits, transform),
        columns=transform.columns,
        class_names=splits.class_names,
        num_outputs=splits.num_classes,
        groups=tuple(config.dataset.suspected_groups(splits)),
    )
    return [
        Finding(
            one.page,
            "fault" if one.certainty == "certain" and one.page.id not in (config.accept or []) else "note",
            one.evidence,
            path=one.path,
            place=loaded.source.where(path_of_key(one.path)),
        )
        for one in suspect(data.OF_DATA, given)
    ]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
