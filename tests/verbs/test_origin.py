"""The origin of checkpoints, from their own files; what these do not say stays unknown."""

import pytest

from lilliput.verbs.origin import origin_of

CARD = "---\nlicense: apache-2.0\nbase_model: some-owner/base\n---\n\n# A model\n"


def test_folder_without_a_card_has_no_origin(tmp_path):
    (tmp_path / "config.json").write_text('{"_name_or_path": "some-owner/model"}')
    assert origin_of(tmp_path) == {}


def test_card_of_a_folder_gives_its_license_and_base_model(tmp_path):
    (tmp_path / "README.md").write_text(CARD)
    assert origin_of(tmp_path) == {"license": "apache-2.0", "base_model": ["some-owner/base"]}


def test_model_in_the_hub_cache_has_an_id(tmp_path):
    folder = tmp_path / "hub" / "models--some-owner--coder-0.5B" / "snapshots" / "0123abcd"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    assert origin_of(folder)["source"] == "some-owner/coder-0.5B"


@pytest.mark.parametrize(
    "card",
    [
        b"\xff\xfe\x00",
        b"",
        b"---\nlicense: [mit, apache-2.0]\nbase_model: ../../x\n---\n",
        b"---\nlicense:\n- a\n- b\n---\n",
    ],
)
def test_ambiguous_fields_are_ignored(card, tmp_path):
    (tmp_path / "README.md").write_bytes(card)
    assert origin_of(tmp_path) == {}


def test_card_that_is_a_folder_is_ignored(tmp_path):
    (tmp_path / "README.md").mkdir()
    assert origin_of(tmp_path) == {}


def test_gguf_metadata_give_more_fields(tmp_path):
    metadata = {
        "general.name": "Coder 0.5B",
        "general.license": "other",
        "general.license.name": "research",
        "general.license.link": "https://example.org/license",
        "general.source.repo_url": "https://huggingface.co/some-owner/coder",
        "general.base_model.count": 2,
        "general.base_model.0.repo_url": "https://huggingface.co/some-owner/base",
        "general.base_model.1.repo_url": "https://example.org/elsewhere/base",
    }
    assert origin_of(tmp_path / "x.gguf", metadata) == {
        "source": "some-owner/coder",
        "base_model": ["some-owner/base"],
        "title": "Coder 0.5B",
        "license": "other",
        "license_name": "research",
        "license_link": "https://example.org/license",
    }


def test_invalid_gguf_metadata_are_ignored(tmp_path):
    odd = {
        "general.license": 7,
        "general.base_model.count": "2",
        "general.repo_url": "https://huggingface.co/only-owner",
    }
    assert origin_of(tmp_path / "x.gguf", odd) == {}
