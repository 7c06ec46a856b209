"""``lilliput predict`` on the command line: predictions come first, then errors for files that are not source code."""

import json


def test_invalid_sources_exit_with_code_2_but_hide_no_predictions(small, tmp_path, lilliput):
    source, empty = tmp_path / "f0.c", tmp_path / "empty.c"
    source.write_text("int f(char *p) { strcpy(p, src); return 0; }")
    empty.touch()
    code, out, text = lilliput("predict", small, source, empty)
    assert (code, out.count("\n")) == (2, 1)
    assert out.startswith(f"{source}:1 f: ")
    assert text == f"error: {empty}: the source is empty. Add the function's source, or leave it out.\n"
    code, out, _ = lilliput("predict", small, source, empty, "--json")
    found = json.loads(out)
    assert (code, len(found["predictions"]), len(found["errors"])) == (2, 1, 1)


def test_files_in_a_language_unknown_to_a_shipped_model_are_noted(small, tmp_path, lilliput):
    python, header = tmp_path / "f.py", tmp_path / "f.h"
    python.write_text("def f(p):\n    return p\n")
    header.write_text("static inline int f(char *p) { return *p; }")
    note = "vulnerability was trained on functions in c: its predictions for 1 file(s) in python mean little."
    code, out, text = lilliput("predict", "vulnerability", python, header)
    assert (code, out.count("\n"), text) == (0, 2, f"note: {note}\n")
    found = json.loads(lilliput("predict", "vulnerability", python, header, "--json")[1])
    assert found["notes"] == [note]
    assert lilliput("predict", "vulnerability", header)[2] == ""
    assert lilliput("predict", small, python)[2] == ""  # the languages of the user's own model are unknown
