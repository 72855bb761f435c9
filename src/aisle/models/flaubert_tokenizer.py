"""FlauBERT's tokenizer as a `tokenizers` pipeline: Moses' rules for French, then byte-pair encoding.

In `transformers` it is Python code over another library; a bundle needs one that is saved as JSON.
Punctuation is normalised and split as by Moses (Koehn et al., 2007), except for its list of abbreviations.
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

_NORMALISED = {
    "``": '"', "''": '"', "„": '"', "“": '"', "”": '"', "«": '"', "»": '"',
    "’": "'", "‘": "'", "‚": "'", "´": "'", "–": "-", "—": " - ", "…": "...", "\u00a0": " ",
}  # fmt: skip


def moses_tokenizer(vocabulary: Path, merges: Path, lower: bool = False) -> Tokenizer:
    """Read the tokenizer of a FlauBERT (or French XLM) model.

    Args:
        vocabulary: `vocab.json`.
        merges: `merges.txt`.
        lower: whether texts are converted to lower case.
    """
    ids = json.loads(vocabulary.read_text("utf-8"))
    lines = merges.read_text("utf-8").split("\n")[:-1]
    pairs = [tuple(line.split()[:2]) for line in lines if not line.startswith("#version")]
    valid = [pair for pair in pairs if len(pair) == 2 and set(pair) <= ids.keys() and "".join(pair) in ids]
    tokenizer = Tokenizer(models.BPE(ids, valid, unk_token="<unk>", end_of_word_suffix="</w>"))
    replacements = [normalizers.Replace(a, b) for a, b in _NORMALISED.items()]
    case = [normalizers.Lowercase()] if lower else []
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *replacements, *case])
    tokenizer.pre_tokenizer = moses_pre_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, ids[name]) for name in ("<s>", "</s>")]
    )
    return tokenizer


def moses_pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Splits French text into words and punctuation as Moses does."""
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
