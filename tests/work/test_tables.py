import math

import pytest
import yaml

from aucue.errors import InputError
from aucue.work.tables import LARGEST, check_bounds, check_keys, kind, parse_yaml, read_mapping


def doubling(times: int) -> str:
    """Aliases of which each stands for twice the one before."""
    lines = ["a0: &a0 [x, x]"]
    return "\n".join(lines + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, times)])


HOSTILE = {
    "date": ("a: 1\nb: 2001-13-45", "line 2: '2001-13-45' cannot be read as timestamp"),
    "int tag": ("a: !!int x", "line 1: 'x' cannot be read as int"),
    "empty int": ("a: !!int ''", "line 1: '' cannot be read as int"),
    "float tag": ("a: !!float x", "line 1: 'x' cannot be read as float"),
    "bool tag": ("a: !!bool x", "line 1: 'x' cannot be read as bool"),
    "timestamp tag": ("a: !!timestamp x", "line 1: 'x' cannot be read as timestamp"),
    "many digits": ("a: " + 5000 * "9", f"line 1: '{40 * '9'}...' cannot be read as int"),
    "many hexadecimal digits": ("a: 0x" + 5000 * "f", "cannot be read as int"),
    "many sexagesimal digits": ("a: 1" + 2000 * ":59", "cannot be read as int"),
    "sexagesimal overflow": ("a: 1" + 500 * ":59" + ".5", "cannot be read as float"),
    "tag of a mapping": ("a: !!map x", "line 1: a tag of a mapping stands before something else"),
    "unknown tag": ("a: !!python/object/apply:os.getcwd []", "line 1: could not determine a constructor"),
    "set of lists": ("a: !!set {? [1]}", "line 1: found unhashable key"),
    "lists in lists": ("a: " + 1000 * "[", "line 1: more than 50 lists or mappings within one another"),
    "mappings in mappings": (1000 * "{a: ", "line 1: more than 50 lists or mappings within one another"),
    "doubling aliases": (doubling(40), r"line \d+: \*a\d multiplies the table"),
    "doubling merges": (doubling(40).replace("[", "!!set {<<: [").replace("]", "]}"), "multiplies the table"),
    "list in itself": ("a: &a [*a]", r"line 1: \*a stands within itself"),
    "unknown alias": ("a: *b", "line 1: found undefined alias 'b'"),
    "key twice": ("a: 1\na: 2", "line 2: duplicate entry 'a'"),
    "key that is a list": ("? [1]\n: 2", "line 1: a key is a list or mapping"),
    "unclosed": ("a: [1", "line 1: "),
    "control character": ("a: \x07", "special characters are not allowed"),
    "two documents": ("a: 1\n---\nb: 2", "line 2: but found another document"),
    "no UTF-8": (b"a: \xff", "cannot be read: it is not UTF-8 text"),
    "UTF-16": ("a: 1".encode("utf-16"), "cannot be read: it is not UTF-8 text"),
    "too large": (b"#" * LARGEST + "ä".encode(), "more than 256 KiB, too much for a table"),
    "list": ("- 1", "must hold a mapping .* not a list"),
    "empty": ("", "must hold a mapping .* not nothing"),
    "date alone": ("2001-01-02", "must hold a mapping .* not 2001-01-02"),
}


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE)
def test_every_damage_is_one_sentence_that_names_the_file(tmp_path, content, message):
    path = tmp_path / "table.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        read_mapping(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 300 + len(str(path))


@pytest.mark.parametrize("name", ["missing.yaml", "", "a" * 300 + ".yaml", "zero\0.yaml"])
def test_files_that_cannot_be_read(tmp_path, name):
    with pytest.raises(InputError, match="cannot be read: "):
        read_mapping(tmp_path / name)


def test_ordinary_tables_are_read(tmp_path):
    text = "a: &a [1, 2.5, yes]\nb: [*a, *a]\nc: {d: 2001-02-03, e: .inf, ü: ~}\n"
    (tmp_path / "table.yaml").write_text(text, encoding="utf-8")
    table = read_mapping(tmp_path / "table.yaml")
    assert table["a"] == [1, 2.5, True]
    assert table["b"] == [table["a"], table["a"]]
    assert table["c"]["e"] == math.inf
    assert table["c"]["ü"] is None
    assert kind(table["c"]["d"]) == "2001-02-03"


def test_as_many_aliases_as_a_person_writes():
    names = ", ".join(["*seeds"] * 100)
    assert parse_yaml(f"seeds: &seeds [1, 2, 3]\nall: [{names}]", "here")["all"] == [[1, 2, 3]] * 100


def test_a_foreign_tag_means_nothing_where_it_is_known():
    assert parse_yaml("a: !munch.Munch {b: 1}", "here", ("!munch.Munch",)) == {"a": {"b": 1}}
    with pytest.raises(InputError, match="here, line 1: could not determine a constructor"):
        parse_yaml("a: !munch.Munch {b: 1}", "here")


def test_bounds_alone():
    check_bounds("a: 2001-13-45")  # that is for whoever builds the values
    with pytest.raises(yaml.YAMLError, match="within one another"):
        check_bounds("[" * 60)


def test_unknown_entries_are_named():
    with pytest.raises(InputError, match=r"here: unknown entry 'colour'; allowed are color. Did you mean 'c"):
        check_keys({"colour": 1}, ("color",), "here")
