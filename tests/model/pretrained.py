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
