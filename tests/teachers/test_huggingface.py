"""Opening Hugging Face folders: what is read, what is rejected, and that no code in them is run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from tiny_teachers import ENCODERS, SHAPE, SPECIAL, functions, singles

from lilliput.bpe import train_tokenizer
from lilliput.errors import CheckpointError, UserError
from lilliput.teachers import open_teacher
from lilliput.teachers.huggingface import load_tokenizer, open_base, position_limit, tokenizing, usable_tokens
from lilliput.teachers.scratch import wrapped

LIMITS = {"roberta": 64, "mpnet": 64, "bert": 64, "modernbert": 64, "t5": None}


class Attack:
    """A pickle that creates a file if its reader runs code."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.witness}'",)


def copy_of(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


@pytest.mark.parametrize("kind", ENCODERS)
def test_encoders_open_with_their_weights(base_folder, kind):
    folder = base_folder(kind)
    base = open_base(folder)
    saved = transformers.AutoModel.from_pretrained(folder) if kind != "t5" else None
    expected = (saved or transformers.T5EncoderModel.from_pretrained(folder)).state_dict()
    got = base.encoder.state_dict()
    assert got
    assert all(torch.equal(value, expected[name]) for name, value in got.items())
    assert not any("pooler" in name for name in got)
    assert position_limit(base.encoder) == LIMITS[kind]
    assert usable_tokens(None, base.encoder) == (LIMITS[kind] or 400)
    assert base.pooling == ("mean" if kind == "t5" else "first")
    assert base.pad_id == 1


@pytest.mark.parametrize("kind", ENCODERS)
def test_input_at_the_limit_is_accepted_and_a_longer_one_rejected(base_folder, kind):
    base = open_base(base_folder(kind))
    limit = usable_tokens(None, base.encoder)
    ids = torch.from_numpy(tokenizing(base.tokenizer, limit)(["x = y;" * 400])[0])[None]
    assert ids.shape == (1, limit)
    with torch.no_grad():
        base.encoder(input_ids=ids, attention_mask=torch.ones_like(ids))
    if LIMITS[kind] is not None:
        with pytest.raises(UserError, match=r"--max-tokens: this model cannot take 65 tokens\. Choose from 3 to 64"):
            usable_tokens(65, base.encoder)


def test_pickled_weights_equal_safetensors(base_folder, tmp_path):
    folder = copy_of(base_folder("roberta"), tmp_path / "m")
    expected = open_base(folder).encoder.state_dict()
    torch.save(expected, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    got = open_base(folder).encoder.state_dict()
    assert all(torch.equal(got[name], value) for name, value in expected.items())


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_malicious_pickle_is_rejected_without_running_it(base_folder, tmp_path, write):
    folder, witness = copy_of(base_folder("roberta"), tmp_path / "m"), tmp_path / "witness"
    pickle.loads(pickle.dumps(Attack(witness)))
    assert witness.exists()  # the attack works on a reader that runs code
    witness.unlink()
    (folder / "model.safetensors").unlink()
    write({"embeddings.word_embeddings.weight": Attack(witness)}, folder / "pytorch_model.bin")
    for opens in (open_base, open_teacher):
        with pytest.raises(CheckpointError, match="nothing of it was run"):
            opens(folder)
    assert not witness.exists()


def test_custom_code_is_not_run(base_folder, tmp_path):
    folder, witness = copy_of(base_folder("roberta"), tmp_path / "m"), tmp_path / "witness"
    (folder / "evil.py").write_text(f"open({str(witness)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    (folder / "config.json").write_text(
        json.dumps({"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}})
    )
    with pytest.raises(CheckpointError, match="custom code"):
        open_base(folder)
    assert not witness.exists()


def _without(*names: str):
    return lambda folder: [(folder / name).unlink() for name in names]


def _bad_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": 3}')


def _lose_a_layer(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file({name: value for name, value in load_file(path).items() if "layer.1." not in name}, path)


def _quantized(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"quantization_config": {"quant_method": "awq"}}))


def _codes(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    name = "encoder.layer.1.attention.self.query.weight"
    save_file(tensors | {name: (tensors[name] * 100).to(torch.int8)}, folder / "model.safetensors")


def _larger_vocabulary(folder: Path) -> None:
    wrapped(train_tokenizer([f"word{i} other{i * 7}" for i in range(300)], 900)).save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_without("config.json"), r"there is no config\.json here"),
        (_without("model.safetensors"), r"there are no weights here \(model\.safetensors\)"),
        (_without("tokenizer.json"), r"there is no tokenizer here \(none of tokenizer\.json, vocab\.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be opened: .*not a valid JSON"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "zork"}'), "cannot be opened: .*zork"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "bart"}'), "'bart' is an encoder-decoder"),
        (lambda folder: os.truncate(folder / "model.safetensors", 900), "is not a valid safetensors file"),
        (_bad_tokenizer, "cannot be opened"),
        (_quantized, r"config\.json: has 'quantization_config': its weights are quantized already, by awq\."),
        (_codes, r"query\.weight' as I8: codes of weights that are quantized already"),
        (_lose_a_layer, r"it holds no values for 16 weight\(s\): encoder\.layer\.1\."),
        (_larger_vocabulary, "tokens, the model embeds 3.*: they do not belong together"),
    ],
)
def test_rejects_damaged_folders(base_folder, tmp_path, damage, text):
    folder = copy_of(base_folder("roberta"), tmp_path / "m")
    damage(folder)
    with pytest.raises(CheckpointError, match=text) as caught:
        open_base(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama"},
        {"model_type": "gpt2"},
        {"model_type": "modernbert-decoder"},
        {"model_type": "roberta", "is_decoder": True},
    ],
)
def test_decoders_are_rejected_as_encoders(base_folder, tmp_path, config):
    """The config alone decides, before any weights are read."""
    folder = copy_of(base_folder("roberta"), tmp_path / "m")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=f"'{config['model_type']}' is a decoder here.* Choose an encoder"):
        open_base(folder)


def test_xlnet_is_accepted_as_an_encoder(tmp_path, base_folder):
    folder = copy_of(base_folder("roberta"), tmp_path / "m")
    transformers.XLNetModel(
        transformers.XLNetConfig(vocab_size=400, d_model=16, n_layer=1, n_head=2, d_inner=16)
    ).save_pretrained(folder)
    encoder = open_base(folder).encoder
    with torch.no_grad():
        one, other = (encoder(input_ids=torch.tensor([[5, last]])).last_hidden_state[0, 0] for last in (6, 7))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("opens", [open_base, open_teacher])
def test_hub_models_without_a_network(monkeypatch, tmp_path, opens):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"nobody/nothing: there is no such path here, and .* cannot be reached"):
        opens("nobody/nothing")
    for path in ("./missing", "a/b/c", tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="there is no such file or folder"):
            opens(path)


def classifier_folder(folder: Path, kind: str = "Roberta", **config: object) -> Path:
    """A fine-tuned classifier as others publish them."""
    tokenizer = train_tokenizer(functions(40), 300)
    torch.manual_seed(1)
    settings = getattr(transformers, f"{kind}Config")(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=66, **{**SHAPE, **SPECIAL, **config}
    )
    getattr(transformers, f"{kind}ForSequenceClassification")(settings).save_pretrained(folder)
    wrapped(tokenizer).save_pretrained(folder)
    return folder


def raw_logits(folder: Path) -> torch.Tensor:
    """Logits of transformers itself, one function at a time."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        ids = [tokenizer(text, truncation=True, max_length=64, return_tensors="pt") for text in singles(10).texts]
        return torch.cat([model(**one).logits for one in ids])


@pytest.mark.parametrize("kind", ["Roberta", "Bert", "MPNet", "ModernBert"])
def test_published_classifiers_match_transformers(tmp_path, kind):
    folder = classifier_folder(tmp_path / "m", kind)
    teacher = open_teacher(folder, task="vulnerability")
    assert teacher.label_names == ("safe", "vulnerable")
    assert teacher.arity == 1
    assert teacher.bytes() == sum(path.stat().st_size for path in folder.iterdir())
    np.testing.assert_allclose(teacher.logits(singles(10)), raw_logits(folder), rtol=0, atol=1e-5)


def test_labels_are_reordered_for_the_task(tmp_path):
    names = {"id2label": {0: "Vulnerable", 1: "SAFE"}, "label2id": {"Vulnerable": 0, "SAFE": 1}}
    folder = classifier_folder(tmp_path / "m", **names)
    teacher = open_teacher(folder, task="vulnerability")
    np.testing.assert_allclose(teacher.logits(singles(10)), raw_logits(folder).flip(1), rtol=0, atol=1e-5)
    assert open_teacher(folder).label_names == ("Vulnerable", "SAFE")


def test_one_output_is_the_log_odds_of_the_second_class(tmp_path):
    folder = classifier_folder(tmp_path / "m", num_labels=1)
    teacher = open_teacher(folder, task="vulnerability")
    probability = torch.softmax(torch.from_numpy(teacher.logits(singles(10))), -1)[:, 1]
    torch.testing.assert_close(probability, torch.sigmoid(raw_logits(folder)[:, 0]), rtol=0, atol=1e-5)
    assert open_teacher(folder).label_names == ("negative", "positive")


@pytest.mark.parametrize(
    ("config", "task", "text"),
    [
        ({"num_labels": 3}, "vulnerability", r"it has 3 classes .*, the task has 2 \(safe, vulnerable\)"),
        ({"id2label": {0: "cat", 1: "dog"}}, "vulnerability", "its classes are cat, dog; those of the task are safe"),
        ({"problem_type": "regression"}, None, "trained for 'regression'"),
        ({"problem_type": "multi_label_classification"}, None, "not to tell exclusive classes apart"),
        ({}, "clone", "classifies single functions, and the task 'clone' joins 2"),
    ],
)
def test_rejects_classifiers_of_another_task(tmp_path, config, task, text):
    folder = classifier_folder(tmp_path / "m", **config)
    with pytest.raises(CheckpointError, match=text):
        open_teacher(folder, task=task)


def test_encoder_without_a_head_is_rejected_as_teacher(base_folder):
    with pytest.raises(CheckpointError, match=r"no values for 4 weight\(s\): classifier.* fine-tune it first"):
        open_teacher(base_folder("roberta"), task="vulnerability")


def test_tokenizer_can_come_from_elsewhere(tmp_path, base_folder):
    folder = classifier_folder(tmp_path / "m")
    expected = open_teacher(folder).logits(singles(10))
    moved = tmp_path / "elsewhere.json"
    (folder / "tokenizer.json").rename(moved)
    np.testing.assert_array_equal(open_teacher(folder, tokenizer=moved).logits(singles(10)), expected)
    np.testing.assert_array_equal(open_teacher(folder, tokenizer=base_folder("bert")).logits(singles(10)), expected)
    assert moved in open_teacher(folder, tokenizer=moved).files
    with pytest.raises(CheckpointError, match="there is no such tokenizer"):
        open_teacher(folder, tokenizer=tmp_path / "nowhere.json")
    with pytest.raises(CheckpointError, match="there is no tokenizer here"):
        load_tokenizer(folder, None)
