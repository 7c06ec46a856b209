"""``lilliput predict`` at the command line: what there is comes first, what is no source code is told of after it."""

import json


def test_what_is_no_source_code_ends_it_with_2_and_hides_nothing(small, tmp_path, lilliput):
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
