"""Tiny pretrained models of random weights, saved as folders as real ones are."""

import json

import torch


def tiny_text(folder, texts, length=64, seed=0):
    """A BERT of two layers with a word-piece tokenizer learned on the texts."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(texts, vocab_size=200, min_frequency=1, show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=length,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def tiny_vision(folder, size, seed=0, mean=(0.1, 0.2, 0.3)):
    """A ResNet of two stages, BatchNorm and all, with its preprocessing."""
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(seed)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    model = ResNetModel(config)
    with torch.no_grad():
        for _ in range(20):  # statistics other than those of an untrained BatchNorm
            model.train()(torch.randn(8, 3, size, size))
    model.save_pretrained(folder)
    processing = {
        "image_processor_type": "ConvNextImageProcessor",
        "image_mean": mean,
        "image_std": [0.5] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processing))
    return folder


def tiny_camembert(folder, texts, length=64, seed=0):
    """A CamemBERT of one layer, its positions counted from the padding index as RoBERTa's are."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import CamembertConfig, CamembertModel

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=150, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    config = CamembertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=length + 2,
    )
    CamembertModel(config).save_pretrained(folder)
    return folder


def tiny_flaubert(folder, texts, length=64, seed=0):
    """A FlauBERT of one layer, with the two files of its own tokenizer and no `tokenizer.json`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import FlaubertConfig, FlaubertModel

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = ["<s>", "</s>", "<pad>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=150, special_tokens=special, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(learned["vocab"]))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in learned["merges"]]
    (folder / "merges.txt").write_text("".join(f"{pair} 100\n" for pair in merges))  # with counts, as theirs
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lowercase": False}))
    torch.manual_seed(seed)
    config = FlaubertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        emb_dim=16,
        n_layers=1,
        n_heads=2,
        max_position_embeddings=length,
        pad_index=2,
        bos_index=0,
        eos_index=1,
        unk_index=3,
    )
    FlaubertModel(config).save_pretrained(folder)
    return folder
