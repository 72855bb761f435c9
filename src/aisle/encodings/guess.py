"""Guesses the encoding of text that is not UTF-8.

Byte patterns exclude scripts, letters exclude languages, and chardet ranks the remaining encodings. On short
text, chardet alone errs: it reads one French word in an English file as Cyrillic.
"""

import re
from collections.abc import Sequence

_GUESSED = 256 * 1024  # bytes that are inspected
_MANY = 10  # lines, of which some may be broken
_BROKEN = 0.05  # share of lines that may be broken in a file's true encoding
# Single-byte encodings of Latin scripts, each with the letters beyond ASCII of the languages written in it.
_LATIN = {
    "cp1252": (
        *("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúüºª", "áàâãçéêíóôõúü", "àèéìòù", "éèëïöüáó", "åäöéà", "æøåéüö"),
        *("áðéíóúýþæö", "àçèéíïòóúü", "éèñçüöïêôä"),
    ),
    "cp1250": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž"),
    "cp1254": ("çğıöşüâîû",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
}
_OTHER = ("cp1251", "cp1253", "cp1255", "cp1256", "cp874", "koi8-r", "koi8-u", "cp866")
# Encodings of two bytes a character: the one that orders characters by how common they are, and the first
# bytes of signs, kana, syllables and common ideographs there.
_WIDE = {
    "cp932": ("shift_jis", {*range(0x81, 0x84), *range(0x88, 0x99)}),
    "euc-jp": ("euc_jp", {*range(0xA1, 0xA6), *range(0xB0, 0xD0)}),
    "gb18030": ("gb2312", {*range(0xA1, 0xA4), *range(0xB0, 0xD8)}),
    "big5": ("big5", range(0xA1, 0xC7)),
    "euc-kr": ("euc_kr", {*range(0xA1, 0xA4), *range(0xB0, 0xC9)}),
}
_SURE_RUNS = 8  # words of chance text of which each would have to have an even number of bytes
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")  # kana of one byte, which any other text may look like
_RUN = re.compile(rb"[\x80-\xff]+")
_WORD = re.compile(r"[^\W\d_a-zA-Z]{2,}")
_INSIDE = re.compile(r"(?<=[A-Za-z])[^\x00-\x7f]+(?=[A-Za-z])")
_MARKS = set("’‘´·–—•®™°")  # signs that stand inside words
_BOXES = re.compile("[\u2500-\u25a0]")
_RARE = {"cp866": 0.5, "koi8-u": 0.99}
# Icelandic letters; in Turkish text, the bytes of the first set occur without the second.
_AS_TURKISH, _ICELANDIC = set("ðýþÐÝÞ"), set("áéíóúæÁÉÍÓÚÆ")


def guess(lines: Sequence[bytes]) -> str:
    """The likeliest encoding of lines, all of which contain more than ASCII."""
    import chardet

    lines = _some(list(dict.fromkeys(lines)))
    failing = {name: _failing(lines, name) for name in (*_LATIN, *_OTHER, *_WIDE)}
    allowed = max(1, _BROKEN * len(lines)) if len(lines) >= _MANY else 0
    likely = [name for name, broken in failing.items() if len(broken) <= allowed]
    left_out = set().union(*(failing[name] for name in likely))
    whole = b"\n".join(line for i, line in enumerate(lines) if i not in left_out)
    likely = _possible(whole, likely)
    if not likely:
        return "cp1252"
    found = chardet.detect_all(
        whole,
        max_bytes=len(whole) or 1,
        include_encodings=[*likely, "utf-8"],
        ignore_threshold=True,
        compat_names=False,
        no_match_encoding=likely[0],
    )
    scores = dict.fromkeys(likely, 0.0)
    for match in found:
        name = _ALIASES.get(str(match["encoding"]), str(match["encoding"]))
        if name in scores:
            scores[name] = max(scores[name], match["confidence"] * _weight(whole, name))
    return max(scores, key=lambda name: (scores[name], name == "cp1252"))


_ALIASES = {
    "cp949": "euc-kr",
    "euc_kr": "euc-kr",
    "shift_jis_2004": "cp932",
    "euc_jis_2004": "euc-jp",
    "euc_jp": "euc-jp",
    "big5hkscs": "big5",
    "cp950": "big5",
    "gb2312": "gb18030",
    "koi8_r": "koi8-r",
    "koi8_u": "koi8-u",
}


def _some(lines: Sequence[bytes]) -> list[bytes]:
    """As many of the lines, from the first on, as a guess needs."""
    size, chosen = 0, []
    for line in lines:
        size += len(line)
        if chosen and size > _GUESSED:
            break
        chosen.append(line)
    return chosen


def _failing(lines: Sequence[bytes], encoding: str) -> set[int]:
    """The lines that cannot be decoded."""
    found = set()
    for i, line in enumerate(lines):
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            found.add(i)
    return found


def _possible(whole: bytes, names: Sequence[str]) -> list[str]:
    """The encodings in which the text has the shape of its script."""
    runs = list(_RUN.finditer(whole))
    wide = [name for name in names if name in _WIDE and _is_wide(whole.decode(name, "replace"), name)]
    if wide and len({run[0] for run in runs}) >= _SURE_RUNS:
        return wide
    total = sum(len(run[0]) for run in runs)
    long = sum(len(run[0]) for run in runs if len(run[0]) > 3 and len(set(run[0])) > 2)
    words = sum(len(run[0]) for run in runs if len(run[0]) > 1)
    inside = sum(len(run[0]) for run in runs if len(run[0]) < 3 and _touches(whole, run))
    latin = _LATIN if long <= total / 2 else ()
    other = _OTHER if inside <= total / 2 <= words else ()
    return [name for name in names if name in latin or name in other or name in wide]


def _touches(whole: bytes, run: re.Match[bytes]) -> bool:
    """Whether an ASCII letter stands next to the run."""
    return whole[run.start() - 1 : run.start()].isalpha() or whole[run.end() : run.end() + 1].isalpha()


def _is_wide(text: str, name: str) -> bool:
    """Whether characters of two bytes are common ones, and not single ones between Latin letters."""
    codec, common = _WIDE[name]
    runs = re.findall(r"([A-Za-z]?)([^\x00-\x7f]+)([A-Za-z]?)", text)
    characters = "".join(run for _, run, _ in runs)
    full = _HALF_WIDTH.sub("", characters)
    if len(full) * 4 < len(characters) or not full:
        return False
    usual = 0
    for character in full:
        try:
            code = character.encode(codec)
        except UnicodeEncodeError:
            continue
        usual += len(code) == 2 and code[0] in common
    lone = sum(len(run) == 1 and bool(left or right) for left, run, right in runs)
    return usual >= 0.75 * len(full) and lone <= len(full) / 3


def _weight(whole: bytes, name: str) -> float:
    """How much a rank counts: by the letters that a language has, and by how common the encoding is."""
    if name in _WIDE:
        return 3.0
    text = whole.decode(name, "replace")
    if name not in _LATIN:
        words = _WORD.findall(text)
        odd = sum(
            not (word.islower() or word.isupper() or word[1:].islower()) for word in words if _cased(word)
        )
        return _RARE.get(name, 1.0) * (not _BOXES.search(text)) * (1 - odd / (len(words) or 1)) ** 2
    letters = [c.lower() for c in text if c > "\x7f" and c.isalpha()]
    letters += ["�" for sign in _INSIDE.findall(text) for c in sign if not c.isalpha() and c not in _MARKS]
    best = max(sum(c in alphabet for c in letters) for alphabet in _LATIN[name])
    covered = best / len(letters) if letters else 1.0
    weight = 1.25 if name == "cp1252" else 1.0
    if name == "cp1252" and _AS_TURKISH & set(text) and not _ICELANDIC & set(text):
        weight = 0.5
    return weight * covered**2


def _cased(word: str) -> bool:
    """Whether its script has capital letters."""
    return word.lower() != word.upper()
