"""FlauBERT's tokenizer as a `tokenizers` pipeline: Moses' rules for French words, then byte-pair pieces.

`transformers` keeps it as Python code over another library; a bundle needs one that JSON holds. Punctuation
is normalised and split as Moses does (Koehn et al. 2007), but for its list of abbreviations.
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

_SAME = {
    "``": '"', "''": '"', "„": '"', "“": '"', "”": '"', "«": '"', "»": '"',
    "’": "'", "‘": "'", "‚": "'", "´": "'", "–": "-", "—": " - ", "…": "...", "\u00a0": " ",
}  # fmt: skip


def moses_tokenizer(vocabulary: Path, merges: Path, lower: bool = False) -> Tokenizer:
    """Read `vocab.json` and `merges.txt` of a FlauBERT (or French XLM) model.

    lower: whether it knows small letters only.
    """
    known = json.loads(vocabulary.read_text("utf-8"))
    lines = merges.read_text("utf-8").split("\n")[:-1]
    pairs = [tuple(line.split()[:2]) for line in lines if not line.startswith("#version")]
    kept = [pair for pair in pairs if len(pair) == 2 and set(pair) <= known.keys() and "".join(pair) in known]
    tokenizer = Tokenizer(models.BPE(known, kept, unk_token="<unk>", end_of_word_suffix="</w>"))
    steps = [normalizers.Replace(a, b) for a, b in _SAME.items()]
    last = [normalizers.Lowercase()] if lower else []
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *steps, *last])
    tokenizer.pre_tokenizer = _words()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, known[name]) for name in ("<s>", "</s>")]
    )
    return tokenizer


def _words() -> pre_tokenizers.PreTokenizer:
    letter = r"[\p{L}\p{N}]"

    def split(pattern: str, behaviour: str = "isolated") -> pre_tokenizers.PreTokenizer:
        return pre_tokenizers.Split(Regex(pattern), behaviour)

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            split(r"\.{2,}"),
            split(r"[^\p{L}\p{N}\s.'`,\-]"),
            split(r"(?<!\p{N}),|,(?!\p{N})"),  # 42,5 is one word
            split(rf"(?<={letter}{letter})\.$"),  # the end of a sentence; initials keep theirs
            split(r"(?<!\p{L})'|'(?=[^\p{L}])"),
            split(r"(?<=\p{L})'", "merged_with_previous"),  # l' homme
        ]
    )
