"""Predict as a function, and the module of all verbs."""

import json
import shutil

import pytest

from lilliput import api
from lilliput.errors import DataError, UserError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "f0.c"
    path.write_text("int f(char *p) { strcpy(p, src); return 0; }")
    return path


def test_single_file_is_a_list_of_one(small, source):
    expected = api.predict(small, [source])
    assert [item.files for item in expected] == [(str(source),)]
    assert api.predict(small, source) == api.predict(small, str(source)) == expected


@pytest.mark.parametrize("files", [None, 3, [None]])
def test_rejects_what_is_not_a_path(files, small):
    with pytest.raises(DataError, match="is not a file path"):
        api.predict(small, files)


def test_rejects_invalid_number_of_threads(small, source):
    with pytest.raises(UserError, match="threads: must be 1 or more"):
        api.predict(small, source, threads=-1)


def test_api_lists_its_verbs():
    assert dir(api) == sorted(api.__all__)
    assert {"demo", "evaluate", "finetune", "load", "predict", "search", "shrink"} <= set(dir(api))
    with pytest.raises(AttributeError, match="no attribute 'spell'"):
        api.spell  # noqa: B018


TWO = "#include <a.h>\n\nint f(char *p) { strcpy(p, src); return 0; }\n\nstatic int g(int a)\n{\n    return a;\n}\n"


def test_file_is_split_into_functions(small, tmp_path):
    (tmp_path / "two.c").write_text(TWO)
    f, g = api.predict(small, tmp_path / "two.c")
    assert [str(item.parts[0]) for item in (f, g)] == [f"{tmp_path / 'two.c'}:3 f", f"{tmp_path / 'two.c'}:5 g"]
    texts = ["int f(char *p) { strcpy(p, src); return 0; }", "static int g(int a)\n{\n    return a;\n}"]
    assert [f.prediction, g.prediction] == api.load(small).predict(texts)
    assert g.as_dict()["functions"] == [{"name": "g", "line": 5}]


def test_invalid_sources_are_skipped_and_reported(small, source, tmp_path):
    (tmp_path / "empty.c").touch()
    (tmp_path / "binary.c").write_bytes(b"\xff\xfe\x00")
    skipped = []
    found = api.predict(small, [tmp_path / "empty.c", source, tmp_path / "binary.c"], passed_over=skipped.append)
    assert found == api.predict(small, source)
    assert ["empty.c" in str(skipped[0]), "binary.c" in str(skipped[1]), len(skipped)] == [True, True, 2]
    with pytest.raises(DataError, match=r"empty\.c"):
        api.predict(small, [source, tmp_path / "empty.c"])


def test_long_file_of_short_functions_is_split(small, tmp_path):
    (tmp_path / "long.c").write_text(f"/*{'x' * 1_000_000}*/\n{TWO}")
    assert len(api.predict(small, tmp_path / "long.c")) == 2
    (tmp_path / "long.c").write_text(f"/*{'x' * 1_000_000}*/\n")
    with pytest.raises(DataError, match=r"long\.c.*no function is found in it, and the source is 1,000,005 bytes long"):
        api.predict(small, tmp_path / "long.c")


def test_standard_input_is_read_only_once(small):
    with pytest.raises(UserError, match="-: is given twice"):
        api.predict(small, ["-", "-"])


def test_rejects_too_many_threads(small, source):
    with pytest.raises(UserError, match=r"threads: 9,999,999,999,999 is too large\. Give 1,024 at most"):
        api.predict(small, source, threads=9_999_999_999_999)


def test_file_can_be_predicted_whole(small, tmp_path):
    (tmp_path / "two.c").write_text(TWO)
    (tmp_path / "two.txt").write_text(TWO)
    (tmp_path / "none.c").write_text("#define X 1\n")
    (found,) = api.predict(small, tmp_path / "two.c", whole=True)
    assert found.prediction == api.load(small).predict([TWO])[0]
    assert found.as_dict()["functions"] == [None]
    assert api.predict(small, tmp_path / "two.txt")[0].prediction == found.prediction
    assert str(api.predict(small, tmp_path / "none.c")[0].parts[0]) == str(tmp_path / "none.c")


def test_files_are_not_split_for_user_defined_labels(small, tmp_path):
    shutil.copytree(small, tmp_path / "own")
    manifest = json.loads((small / "manifest.json").read_text())
    (tmp_path / "own" / "manifest.json").write_text(json.dumps({**manifest, "task": "classification"}))
    (tmp_path / "two.c").write_text(TWO)
    assert [item.as_dict()["functions"] for item in api.predict(tmp_path / "own", tmp_path / "two.c")] == [[None]]


def test_each_function_of_the_first_file_gets_its_likeliest_counterpart(tmp_path):
    functions = [f"def f{i}(a):\n    return a[{i}] + {i}\n\n\n" for i in range(3)]
    (tmp_path / "one.py").write_text("".join(functions[:2]))
    (tmp_path / "other.py").write_text("".join(functions))
    found = api.predict("clone-python", [tmp_path / "one.py", tmp_path / "other.py"])
    assert [item.parts[0].name for item in found] == ["f0", "f1"]
    model = api.load("clone-python")
    for item, text in zip(found, functions, strict=False):
        every = model.predict([(text.strip(), other.strip()) for other in functions])
        best = max(range(3), key=lambda place: every[place].probabilities["clone"])
        assert item.parts[1].name == f"f{best}"
        assert item.prediction.probabilities == pytest.approx(every[best].probabilities, abs=1e-5)


def test_rejects_too_many_pairs(tmp_path):
    (tmp_path / "many.py").write_text("".join(f"def f{i}(): pass\n" for i in range(300)))
    with pytest.raises(UserError, match=r"has 300 functions, and .* 300: too many pairs to compare"):
        api.predict("clone-python", [tmp_path / "many.py"] * 2)
