import json
import pickle

import pytest

from aucue.errors import InputError
from aucue.facs import ACTION_UNITS, BUNDLED_CODEBOOKS, EXPRESSIONS, Codebook, listed


def write(folder, text, name="book.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def book(**changes):
    return {"name": "mine", "expressions": {"happiness": [6, 12]}} | changes


def test_standard_names():
    assert EXPRESSIONS == ("neutral", "happiness", "surprise", "fear", "anger", "disgust", "sadness")
    assert list(ACTION_UNITS) == [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 20, 23, 24, 25, 26, 27, 43]
    assert str(ACTION_UNITS[12]) == "AU12 Lip Corner Puller"


def test_bundled_codebooks():
    # Martinez et al. 2017, as printed in the paper; disgust of fg2024 is the published slip.
    facs = Codebook.load("facs")
    assert facs.expressions == EXPRESSIONS
    assert dict(facs.entries) == {
        "neutral": (),
        "happiness": (6, 12, 25),
        "surprise": (1, 2, 5, 26, 27),
        "fear": (1, 2, 4, 5, 20, 25, 26, 27),
        "anger": (4, 5, 7, 10, 17, 23, 24, 25, 26),
        "disgust": (9, 10, 16, 17, 25, 26),
        "sadness": (1, 4, 6, 15, 17),
    }
    published = Codebook.load("fg2024")
    assert published["disgust"] == (5, 9, 16, 17, 25, 26)
    assert [e for e in EXPRESSIONS if published[e] != facs[e]] == ["disgust"]


def test_compound_expressions_have_the_action_units_of_both():
    facs, compound = Codebook.load("facs"), Codebook.load("compound")
    basic = {
        "happily": "happiness",
        "sadly": "sadness",
        "fearfully": "fear",
        "fearful": "fear",
        "angrily": "anger",
        "angry": "anger",
        "disgustedly": "disgust",
        "disgusted": "disgust",
        "surprised": "surprise",
    }
    assert compound.expressions[:7] == EXPRESSIONS
    assert len(compound.expressions) == 7 + 11
    for name in compound.expressions[7:]:
        first, second = (set(facs[basic[word]]) for word in name.split())
        assert set(compound[name]) == first | second, name


def test_contempt():
    facs, contempt = Codebook.load("facs"), Codebook.load("contempt")
    assert dict(contempt.entries) == {**facs.entries, "contempt": (12, 14)}


def test_user_codebook_extends_and_adds(tmp_path):
    path = write(
        tmp_path,
        """
        name: clinic
        extends: facs
        expressions:
          contempt: [14, 12, 28]
          sadness: [1, 15]
        adds:
          expressions: [contempt]
          action_units: {28: Lip Suck}
        """,
    )
    clinic = Codebook.load(path)
    assert clinic["contempt"] == (12, 14, 28)
    assert clinic["sadness"] == (1, 15)
    assert clinic["happiness"] == (6, 12, 25)
    assert clinic.expressions == (*EXPRESSIONS, "contempt")
    assert str(clinic.action_units[28]) == "AU28 Lip Suck"
    # Another file may build on it, found relative to its own folder.
    ward = write(tmp_path, "{name: ward, extends: book.yaml, expressions: {contempt: [28]}}", "ward.yaml")
    assert Codebook.load(ward)["contempt"] == (28,)


def test_neutral_is_always_there_and_empty():
    assert Codebook.from_dict(book())["neutral"] == ()
    assert Codebook.from_dict(book()).expressions == ("neutral", "happiness")


@pytest.mark.parametrize("name", BUNDLED_CODEBOOKS)
def test_round_trips(name):
    codebook = Codebook.load(name)
    assert Codebook.from_dict(codebook.to_dict()) == codebook
    assert pickle.loads(pickle.dumps(codebook)) == codebook
    assert Codebook.load(codebook) is codebook


def test_json_keeps_added_action_units():
    adds = {"expressions": ["sucking"], "action_units": {28: "Lip Suck"}}
    codebook = Codebook.from_dict(book(expressions={"sucking": [28]}, adds=adds))
    assert Codebook.from_dict(json.loads(json.dumps(codebook.to_dict()))) == codebook


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expressions": {"hapiness": [6]}}, r"unknown expression 'hapiness'.* Did you mean 'happiness'\?"),
        ({"expressions": {"happiness": [6, 28]}}, "expression happiness: unknown action unit 28"),
        ({"expressions": {"happiness": [6, 12, 6]}}, "expression happiness: action unit 6 is a duplicate"),
        ({"expressions": {"happiness": []}}, "expression happiness: the set of action units is empty"),
        ({"expressions": {"happiness": None}}, "expression happiness: the set of action units is empty"),
        ({"expressions": {"neutral": [6]}}, "expression neutral: neutral has no action units"),
        ({"expressions": {"happiness": 6}}, "expression happiness: must be a list"),
        ({"expressions": {"happiness": ["AU6"]}}, "expression happiness: 'AU6' is not an action-unit number"),
        ({"expressions": {"happiness": [True]}}, "expression happiness: True is not an action-unit number"),
        ({"expressions": ["happiness"]}, "'expressions' must be a mapping"),
        ({"expresions": {}}, r"unknown entry 'expresions'.*Did you mean 'expressions'\?"),
        ({"name": None}, "'name' must be a text, not nothing"),
        ({"extends": "fg2042"}, r"no codebook 'fg2042'.*Did you mean 'fg2024'\?"),
        ({"extends": [1]}, "'extends' must be a codebook's name or path, not a list"),
        ({"adds": {"expressions": ["anger"]}}, "adds: expression 'anger' is a duplicate"),
        ({"adds": {"expressions": ["awe", "awe"]}}, "adds: expression 'awe' is a duplicate"),
        ({"adds": {"expressions": "awe"}}, "adds: 'expressions' must be a list of names"),
        (
            {"adds": {"action_units": {12: "Smile"}}},
            "action unit 12 is a duplicate of AU12 Lip Corner Puller",
        ),
        ({"adds": {"action_units": {"x": "Smile"}}}, "action unit 'x' must be a positive whole number"),
        ({"adds": {"action_units": {28: 3}}}, "the name of action unit 28 must be a text"),
        ({"adds": {"units": {}}}, "adds: unknown entry 'units'"),
    ],
)
def test_errors_name_the_entry(changes, message):
    with pytest.raises(InputError, match=message):
        Codebook.from_dict(book(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- happiness", r"book\.yaml must hold a mapping .* not a list"),
        ("", r"book\.yaml must hold a mapping .* not nothing"),
        ("name: x\nexpressions:\n  fear: [1]\n  fear: [2]", r"book\.yaml, line 4: duplicate entry 'fear'"),
        ("name: [", r"book\.yaml, line 1"),
        ("? [a]\n: 1", r"book\.yaml, line 1: a key is a list or mapping"),
        ("name: x\nextends: book.yaml\nexpressions: {}", r"book\.yaml extends itself"),
    ],
)
def test_errors_name_the_file_and_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        Codebook.load(write(tmp_path, text))


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"missing\.yaml cannot be read: No such file"):
        Codebook.load(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.yaml cannot be read: it is not UTF-8"):
        Codebook.load(tmp_path / "binary.yaml")
    with pytest.raises(InputError, match=r"no codebook 'fac'; .*Did you mean 'facs'\?"):
        Codebook.load("fac")


def test_unknown_expression_is_named():
    with pytest.raises(
        InputError, match=r"Codebook facs has no expression 'suprise'.*Did you mean 'surprise'\?"
    ):
        Codebook.load("facs")["suprise"]


def test_from_dict_wants_a_mapping():
    with pytest.raises(InputError, match="not a list"):
        Codebook.from_dict([])  # type: ignore[arg-type]


def test_a_long_chain_of_codebooks(tmp_path):
    for number in range(1500):
        text = f"{{name: n{number}, extends: {number + 1}.yaml, expressions: {{}}}}"
        write(tmp_path, text, f"{number}.yaml")
    with pytest.raises(InputError, match=r"15\.yaml: more than 16 codebooks extend one another"):
        Codebook.load(tmp_path / "0.yaml")


@pytest.mark.parametrize("name", ["zero\0.yaml", "\ud800.yaml"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(InputError, match=r"cannot be a codebook|cannot be read"):
        Codebook.load(name)


def test_content_of_a_file_reads_no_other_file(tmp_path):
    whole = Codebook.load("contempt")
    assert Codebook.from_content(json.loads(json.dumps(whole.to_dict())), "model") == whole
    other = write(tmp_path, "{name: other, expressions: {fear: [1]}}")
    for extends in (str(other), "facs"):
        with pytest.raises(InputError, match="model: its codebook extends another one"):
            Codebook.from_content(book(extends=extends), "model")
    with pytest.raises(InputError, match="model: its codebook must be a mapping, not a list"):
        Codebook.from_content([], "model")
    with pytest.raises(InputError, match="model, codebook, expression happiness: unknown action unit 28"):
        Codebook.from_content(book(expressions={"happiness": [28]}), "model")


def test_units_that_exclude_each_other_are_listed_as_alternatives() -> None:
    units = [ACTION_UNITS[number] for number in Codebook.load("facs")["anger"]]
    assert listed(units).endswith(
        "AU17 Chin Raiser, either AU23 Lip Tightener, AU24 Lip Pressor or AU25 Lips Part, AU26 Jaw Drop"
    )
    assert listed([ACTION_UNITS[12], ACTION_UNITS[25]]) == "AU12 Lip Corner Puller, AU25 Lips Part"
