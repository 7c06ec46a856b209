"""Predict as a function, and the module of all the verbs."""

import pytest

from lilliput import api
from lilliput.errors import DataError, UserError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "f0.c"
    path.write_text("int f(char *p) { strcpy(p, src); return 0; }")
    return path


def test_one_file_is_a_list_of_one(small, source):
    expected = api.predict(small, [source])
    assert [item.files for item in expected] == [(str(source),)]
    assert api.predict(small, source) == api.predict(small, str(source)) == expected


@pytest.mark.parametrize("files", [None, 3, [None]])
def test_what_is_no_path_is_refused(files, small):
    with pytest.raises(DataError, match="is no path of a file"):
        api.predict(small, files)


def test_a_number_of_threads_that_is_none(small, source):
    with pytest.raises(UserError, match="-1 is no number of threads"):
        api.predict(small, source, threads=-1)


def test_the_api_lists_its_verbs():
    assert dir(api) == sorted(api.__all__)
    assert {"demo", "evaluate", "finetune", "load", "predict", "search", "shrink"} <= set(dir(api))
    with pytest.raises(AttributeError, match="no attribute 'spell'"):
        api.spell  # noqa: B018
