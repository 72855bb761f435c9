"""Maps values of a split column to train, validation, calibration or test."""

import re
from collections.abc import Mapping

from aisle.encodings import fold_accents
from aisle.errors import CatalogError

SPLITS = ("train", "validation", "calibration", "test")
_MAX_NAMED = 10  # unknown values in a message

# Compared without case, accents and punctuation, and without a final "set", "split", "data".
_SPELLINGS = {
    "train": (
        *("train", "training", "trainval", "trn", "tr", "learn", "learning", "fit", "fitting"),
        *("lernen", "trainieren", "entrainement", "apprentissage", "entrenamiento", "addestramento"),
        *("treino", "treinamento", "treningowy", "trening", "traning", "egitim", "обучение", "обучающая"),
        *("тренировка", "训练", "訓練", "学習", "تدريب"),
    ),
    "validation": (
        *("validation", "validate", "validating", "valid", "val", "vali", "vld", "dev", "devel"),
        *("development", "validierung", "validacion", "validazione", "validacao", "validatie"),
        *("walidacyjny", "walidacja", "validering", "dogrulama", "валидация", "验证", "驗證", "検証", "تحقق"),
    ),
    "calibration": ("calibration", "calibrate", "calib", "cal", "kalibrierung", "calibracion", "calibrage"),
    "test": (
        *("test", "testing", "tst", "te", "tests", "tested", "eval", "evaluation", "holdout", "heldout"),
        *("testen", "prueba", "pruebas", "prova", "teste", "testowy", "testning", "toets"),
        *("тест", "тестовая", "测试", "測試", "テスト", "اختبار"),
    ),
}
_ENDINGS = ("set", "split", "data", "daten", "sample", "rows", "part", "partition", "subset", "fold")


def _folded(value: str) -> str:
    """Remove case, accents and punctuation."""
    return re.sub(r"[\W_]+", "", fold_accents(value))


_SPLIT_OF = {_folded(text): split for split, spellings in _SPELLINGS.items() for text in spellings}


def parse_split(value: str) -> str | None:
    """One of `SPLITS`; `""` for a blank cell, None for any other value."""
    if not value.strip():
        return ""
    word = _folded(value)
    if word in _SPLIT_OF:
        return _SPLIT_OF[word]
    return next((_SPLIT_OF.get(word.removesuffix(end)) for end in _ENDINGS if word.endswith(end)), None)


def read_splits(counts: Mapping[str, int], column: str) -> dict[str, str]:
    """Map each distinct cell of a split column to its split.

    Args:
        counts: The number of rows of each cell.
        column: The name of the column.

    Raises:
        CatalogError: Cells have unknown values.
    """
    splits = {value: parse_split(value) for value in counts}
    unknown = sorted((v for v, split in splits.items() if split is None), key=lambda v: (-counts[v], v))
    if unknown:
        listed = ", ".join(f"{value[:40]!r} ({_rows(counts[value])})" for value in unknown[:_MAX_NAMED])
        more = f" and {len(unknown) - _MAX_NAMED:,} more" if len(unknown) > _MAX_NAMED else ""
        raise CatalogError(
            f"column {column!r} holds values that name no split: {listed}{more}. "
            f"Write {', '.join(SPLITS)}; if it is no split column, say so: -c split="
        )
    return {value: split for value, split in splits.items() if split is not None}


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
