"""What names of folders and arrays say about a dataset: its splits, its numbered parts, and what has no labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

SPLIT_NAMES = {
    "train": (
        *("train", "training", "trainings", "entrainement", "apprentissage", "entrenamiento", "addestramento"),
        *("treino", "treinamento"),
    ),
    "test": ("test", "testing", "prueba", "pruebas", "prova", "teste"),
    "validation": (
        *("val", "valid", "validation", "validate", "eval", "evaluation", "dev", "development", "validierung"),
        *("validierungs", "validacion", "validazione", "validacao", "validatie"),
    ),
}
"""Names of splits, in any case, with or without accents, in English, German, French, Spanish, Italian, Portuguese and
Dutch."""
_NOUNS = (
    *("set", "data", "dataset", "image", "images", "split", "daten", "datensatz", "satz", "menge", "bilder"),
    *("donnees", "jeu", "ensemble", "datos", "conjunto", "imagenes", "dati", "insieme", "immagini", "dados", "imagens"),
    *("gegevens", "afbeeldingen", "public", "private"),
)
"""Words that may be part of such a name: `training_set`, `Trainingsdaten`, `datos de entrenamiento`."""
_PARTICLES = ("of", "de", "del", "d", "di", "da", "do", "van")
_UNLABELED = {"unlabeled", "unlabelled", "unannotated", "unsup", "unsupervised", "nolabel", "nolabels"}
"""Names of folders whose images have no labels, without spaces and `_NOUNS`."""
_VERSIONS = {
    *("original", "originals", "raw", "augmented", "augmentation", "augment", "aug", "synthetic", "generated"),
    *("processed", "preprocessed", "resized", "cropped", "segmented", "enhanced", "normalized", "balanced"),
    *("color", "colour", "grayscale", "greyscale", "gray", "grey", "rgb"),
}
"""Words in the names of folders that hold the same images in another form."""
_DIVISIONS = re.compile(
    r"(?P<of>(?:.*[\W\d_])?(?:k?fold|part|batch|chunk|shard|subset|split|teil|partie|parte|deel|lote))"
    r"(?:[\W_]*\d+|[\W_]+[a-z])"
)
"""Names of the numbered parts of a dataset, in lower case: `fold1`, `HAM10000_images_part_2`."""


def _words(name: str) -> list[str]:
    """Return the words and numbers of a name, in lower case and without accents: `trainA` has two words."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    plain = unicodedata.normalize("NFKD", apart.casefold())
    return re.findall(r"[^\W\d_]+|\d+", "".join(sign for sign in plain if not unicodedata.combining(sign)))


def split_of(name: str) -> str | None:
    """Return the split that a name stands for, also with a number, as in `train2017`: `train`, `test` or `validation`;
    None if it is an ordinary name."""
    words = [word for word in _words(name) if word not in (*_NOUNS, *_PARTICLES) and not word.isdecimal()]
    return _SPLIT_OF.get(words[0]) if len(words) == 1 else None


_SPLIT_OF = {name + noun: split for split, names in SPLIT_NAMES.items() for name in names for noun in ("", *_NOUNS)}


def split_and_rest(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the split that a word of a name stands for, and the other words; None if there is no such word."""
    words = _words(name)
    place = next((place for place, word in enumerate(words) if word in _SPLIT_OF), None)
    return None if place is None else (_SPLIT_OF[words[place]], (*words[:place], "", *words[place + 1 :]))


def is_unlabeled(name: str) -> bool:
    """Return whether a folder of this name has images without labels."""
    return "".join(word for word in _words(name) if word not in _NOUNS) in _UNLABELED


def is_version(name: str) -> bool:
    """Return whether a word of a name says that a folder holds a version or a split of a dataset."""
    return not _VERSIONS.isdisjoint(_words(name)) or split_and_rest(name) is not None


def divisions(names: Iterable[str]) -> list[str]:
    """Return the names that are those of numbered parts of one dataset: two or more with the same word before."""
    found: dict[str, list[str]] = {}
    for name in names:
        if (match := _DIVISIONS.fullmatch(name.casefold())) is not None:
            found.setdefault(match["of"], []).append(name)
    return next((alike for alike in found.values() if len(alike) > 1), [])
