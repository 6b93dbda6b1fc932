"""Tokenisers of folders against transformers: each class with settings that it decides, and files that disagree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from softkv_attention.transformer import UnsupportedModelError
from softkv_service.encoding.models.tokenizer_classes import load_tokenizer
from tests.parity.families import bytes_as_fallback, bytes_with_end, sentence_pieces, word_pieces

TEXTS = [
    "the dog",
    "  Two  spaces ",
    "",
    "a <pad> x [PAD] y",
    "Ärger Éa 猫 zebra",
    "Tree don't 1234\n\n x",
    "#stone,light",
]
TEXTS += ["a [SEP] b </s> c <unk> [UNK] d[MASK] e <mask> f", "<|endoftext|> hi <s>NOTUSED [NEW] a"]


def fields_of(tokenizer: Tokenizer, special: dict[str, str] | None = None) -> dict:
    """Return the content of a tokenizer.json, in which some special tokens have other names."""
    text = tokenizer.to_str()
    for name, other in (special or {}).items():
        text = text.replace(json.dumps(name), json.dumps(other))
    return json.loads(text)


def byte_pairs() -> dict:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "the", "<mask>"]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [("t", "h"), ("th", "e")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, True)
    return fields_of(tokenizer)


def llama() -> dict:
    """The file of a Llama 2 as transformers 4 saves it: the first blank comes from the normaliser."""
    blank = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    fields = fields_of(bytes_as_fallback()[0], {"<bos>": "<s>", "<eos>": "</s>"})
    return fields | {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, blank]}}


BERT = fields_of(word_pieces()[0])
MPNET = fields_of(word_pieces()[0], {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>"})
PIECES = fields_of(sentence_pieces()[0])
FOLDERS = {
    ("bert", "BertTokenizer"): BERT,
    ("bert", None): BERT,
    ("bert", "PreTrainedTokenizerFast"): BERT,
    ("distilbert", "DistilBertTokenizerFast"): BERT,
    ("mpnet", "MPNetTokenizerFast"): MPNET,
    ("mpnet", None): BERT,
    ("roberta", "RobertaTokenizerFast"): byte_pairs(),
    ("roberta", None): byte_pairs(),
    ("xlm-roberta", "XLMRobertaTokenizerFast"): PIECES,
    ("gte", None): PIECES,
    ("camembert", "CamembertTokenizer"): PIECES,
    ("llama", "LlamaTokenizerFast"): llama(),
    ("llama", None): llama(),
    ("mistral", "LlamaTokenizer"): llama(),
    ("llama", "LlamaTokenizer"): fields_of(bytes_with_end()[0]),
    ("qwen2", "PreTrainedTokenizerFast"): fields_of(bytes_with_end()[0]),
    ("qwen3", None): fields_of(bytes_with_end()[0]),
    ("gemma3_text", "GemmaTokenizerFast"): fields_of(bytes_as_fallback()[0]),
    ("modernbert", "RobertaTokenizer"): byte_pairs(),
}
FLAGS = {"lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
SETTINGS = [
    {},
    {"do_lower_case": False},
    {"do_lower_case": True},
    {"strip_accents": False},
    {"strip_accents": None},
    {"tokenize_chinese_chars": False},
    {"add_prefix_space": True},
    {"add_prefix_space": False},
    {"legacy": True},
    {"split_special_tokens": True},
    {"truncation_side": "left"},
    {"cls_token": "dog", "bos_token": "dog", "sep_token": "cat"},
    {"pad_token": "the"},
    {"mask_token": "[NEW]"},
    {"unk_token": "the"},
    {"cls_token": {"__type": "AddedToken", "content": "the"} | FLAGS},
    {"additional_special_tokens": ["dog", "[NEW]"]},
    {"extra_special_tokens": ["dog"]},
    {"extra_special_tokens": {"z_token": "dog"}},
    {"image_token": "cat"},
    {"added_tokens_decoder": {"5": {"content": "a", "special": True} | FLAGS}},
    {"added_tokens_decoder": {}},
    {"add_bos_token": True, "add_eos_token": True},
]
PADDING = {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0}
TRUNCATION = {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
CASED = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None}
STORED = [
    {"normalizer": None},
    {"normalizer": {"type": "Lowercase"}},
    {"normalizer": CASED | {"lowercase": False}},
    {"pre_tokenizer": {"type": "Whitespace"}},
    {"post_processor": None},
    {"added_tokens": []},
    {"truncation": TRUNCATION},
    {"padding": PADDING | {"pad_token": "the"}},
]
MORE_FILES = [
    {"special_tokens_map.json": {"cls_token": "dog", "mask_token": {"content": "cat"} | FLAGS}},
    {"added_tokens.json": {"[NEW]": 400}},
]


def save_tokenizer(folder: Path, model_type: str, name: str | None) -> Tokenizer:
    """Write the files of one of `FOLDERS` into a folder, and return its tokeniser."""
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "tokenizer.json").write_text(json.dumps(FOLDERS[model_type, name]))
    (folder / "tokenizer_config.json").write_text(json.dumps({} if name is None else {"tokenizer_class": name}))
    return load_tokenizer(folder, 64).library


def compare(folder, model_type, name, fields, settings, more):
    """Read texts in both ways, from a folder with these files."""
    from transformers import AutoTokenizer

    vocabulary = len(fields["model"]["vocab"]) + 8
    files = {
        "config.json": {"model_type": model_type, "vocab_size": vocabulary},
        "tokenizer.json": fields,
        "tokenizer_config.json": settings if name is None else settings | {"tokenizer_class": name},
    }
    for file, content in (files | more).items():
        (folder / file).write_text(json.dumps(content))
    expected = AutoTokenizer.from_pretrained(str(folder))
    loaded = load_tokenizer(folder, 64, vocabulary)
    case = (settings, more, {key: fields[key] for key in STORED[0] | STORED[3]})
    for text in TEXTS:
        assert loaded.library.encode(text).ids == expected(text)["input_ids"], (text, case)
    cut = expected(TEXTS[1], truncation=True, max_length=5)["input_ids"]
    loaded.max_tokens = 5
    assert loaded.read(TEXTS[1:2]).ids[0].tolist() == cut, case


@pytest.mark.parametrize(("model_type", "name"), FOLDERS, ids=str)
def test_texts_are_read_as_transformers_reads_them(tmp_path, model_type, name):
    fields = FOLDERS[model_type, name]
    for settings in SETTINGS:
        compare(tmp_path, model_type, name, fields, settings, {})
    for stored in STORED:
        compare(tmp_path, model_type, name, fields | stored, {}, {})
    for more in MORE_FILES:
        compare(tmp_path, model_type, name, fields, {}, more)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tokenizer_config.json": {"tokenizer_class": "T5Tokenizer"}}, r"tokenizer_config\.json: tokenizer_class"),
        ({"tokenizer_config.json": {"fast_tokenizer_files": ["tokenizer.4.json"]}}, "fast_tokenizer_files"),
        ({"tokenizer_config.json": {"fix_mistral_regex": True}}, "fix_mistral_regex"),
        ({"sentence_roberta_config.json": {"do_lower_case": True}}, r"sentence_roberta_config\.json: do_lower_case"),
        ({"tekken.json": {}}, r"tekken\.json is another"),
        ({"tokenizer.json": PIECES}, r"tokenizer\.json: model must be of type WordPiece .* got Unigram"),
    ],
)
def test_a_tokeniser_that_would_be_another_is_left_to_the_library(tmp_path, files, message):
    for file, content in ({"config.json": {"model_type": "bert"}, "tokenizer.json": BERT} | files).items():
        (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(UnsupportedModelError, match=message):
        load_tokenizer(tmp_path, 64, 100)
