"""What the values of a split column mean: train, validation, calibration or test, in any spelling."""

import re
import unicodedata
from collections.abc import Mapping

from aisle.errors import CatalogError

SPLITS = ("train", "validation", "calibration", "test")
_SHOWN = 10  # unknown values that a message names

# Compared without case, accents and signs, and without a final "set", "split", "data".
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
    """Without case, accents and signs."""
    parts = unicodedata.normalize("NFKD", value).casefold()
    return re.sub(r"[\W_]+", "", "".join(c for c in parts if not unicodedata.combining(c)))


_MEANING = {_folded(text): split for split, spellings in _SPELLINGS.items() for text in spellings}


def parse_split(value: str) -> str | None:
    """One of `SPLITS`; `""` for a blank cell, None for what names no split that is known."""
    if not value.strip():
        return ""
    word = _folded(value)
    if word in _MEANING:
        return _MEANING[word]
    return next((_MEANING.get(word.removesuffix(end)) for end in _ENDINGS if word.endswith(end)), None)


def read_splits(counts: Mapping[str, int], column: str) -> dict[str, str]:
    """{cell: split} for each distinct cell of a split column.

    Args:
        counts: how many rows have each cell.
        column: its name.

    Raises:
        CatalogError: cells name no split that is known; the message names them and their rows.
    """
    found = {value: parse_split(value) for value in counts}
    unknown = sorted((v for v, split in found.items() if split is None), key=lambda v: (-counts[v], v))
    if unknown:
        shown = ", ".join(f"{value[:40]!r} ({_rows(counts[value])})" for value in unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else ""
        raise CatalogError(
            f"column {column!r} holds values that name no split: {shown}{more}. "
            f"Write {', '.join(SPLITS)}; if it is no split column, say so: -c split="
        )
    return {value: split for value, split in found.items() if split is not None}


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
