"""Language identification by script, and by function words for Latin script."""

import re
from collections import Counter

_WORD = re.compile(r"[^\W\d_]+")
# Words that are common in one of these languages and rare in the others.
_FUNCTION_WORDS = {
    "en": "the and with for this you your are is not have new used only been very like see will from",
    "de": "und der die das mit für nicht ist ein eine auf von neu sehr auch sind wird nur ohne zum bei",
    "fr": "et le les des une avec pour est dans du sur pas très vous sont cette neuf état au aux",
    "es": "el los las con para una por del muy está como sin más son nuevo su sobre pero también",
    "it": "il di che con per una del della sono molto nuovo come più nel gli anche alla questo senza",
    "nl": "het een van met voor niet zijn ook maar nieuw zeer aan bij deze naar wordt zonder",
    "pt": "o os com para uma não em do da muito novo mais são como por sem também esta",
    "pl": "i w na z do jest nie się dla oraz nowy stan bardzo od przez lub",
    "sv": "och att det som för med är inte på av ny mycket eller från till den",
    "tr": "ve bir için ile çok bu değil olarak yeni daha gibi kadar var",
}
_LANGUAGES = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
_SCRIPTS = (
    ("cyrillic", 0x0400, 0x052F), ("greek", 0x0370, 0x03FF), ("hebrew", 0x0590, 0x05FF),
    ("arabic", 0x0600, 0x06FF), ("devanagari", 0x0900, 0x097F), ("thai", 0x0E00, 0x0E7F),
    ("kana", 0x3040, 0x30FF), ("han", 0x4E00, 0x9FFF), ("hangul", 0xAC00, 0xD7AF),
)  # fmt: skip
NO_TEXT, UNSURE = "no text", "latin, unsure"


def language(text: str) -> str:
    """A language's code, another script's name, `latin, unsure`, or `no text`."""
    words = _WORD.findall(text.casefold())
    if not words:
        return NO_TEXT
    letters = "".join(words)
    scripts = Counter(name for c in letters for name, low, high in _SCRIPTS if low <= ord(c) <= high)
    if scripts and scripts.most_common(1)[0][1] > len(letters) / 2:
        return scripts.most_common(1)[0][0]
    counts = {
        name: sum(word in function_words for word in words) for name, function_words in _LANGUAGES.items()
    }
    (best, best_count), (_, second_count) = Counter(counts).most_common(2)
    return best if best_count > second_count else UNSURE
