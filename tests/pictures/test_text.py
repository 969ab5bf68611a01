"""Text in pictures: letters, lines."""

import numpy as np
import pytest

from aucue import pictures
from aucue.pictures import in_percent
from aucue.pictures import text as text_in_pictures


@pytest.mark.parametrize("text", ["Привет", "ώρα", "Déjà 3×4 – 5°·", "Łódź", "Việt"])
def test_letters_of_other_scripts_are_drawn(text):
    box = text_in_pictures._mask("\uffff")
    assert any(box)
    assert pictures.drawable(text) == text
    masks = [text_in_pictures._mask(letter) for letter in text if letter != " "]
    assert box not in masks
    assert len(set(masks)) == len(set(text) - {" "})
    picture = np.asarray(pictures.blank((60, 200), text))
    unknown = np.asarray(pictures.blank((60, 200), "\uffff" * len(text)))
    assert not np.array_equal(picture, unknown)


def test_letters_that_no_font_has_are_question_marks_and_accents_join_their_letters():
    assert pictures.drawable("中文 a") == "?? a"
    assert pictures.drawable("De\u0301ja\u0300") == "Déjà"  # a name from a Mac


def test_the_font_comes_with_aucue():
    assert pictures.font(20).getname() == ("DejaVu Sans", "Book")
    assert pictures.drawable("Déjà 3×4 λ–·°") == "Déjà 3×4 λ–·°"


def test_text_is_wrapped_shortened_and_drawable():
    face = pictures.font(20)
    lines = pictures.wrap("one two three four five six", face, 90)
    assert len(lines) > 1
    assert " ".join(lines) == "one two three four five six"
    assert all(face.getlength(line) <= 90 for line in lines)
    assert face.getlength(pictures.shorten("a very long title indeed", face, 100)) <= 100
    assert pictures.drawable("a\x1b[31m\tb\n") == "a?[31m b\n"


def test_words_wider_than_a_line_are_broken():
    """As names of files are: no spaces, and longer than a tile is wide."""
    face = pictures.font(20)
    name = "IMG_20240131_093012_happily_surprised_left_profile.jpeg"
    lines = pictures.wrap(f"see {name} alone", face, 150)
    assert all(face.getlength(line) <= 150 for line in lines)
    assert "".join(lines).replace(" ", "") == f"see{name}alone"
    assert pictures.wrap("wide", face, 1) == ["w", "i", "d", "e"]
    assert pictures.shorten("two\nlines", face, 200) == "two lines"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.416, "42 %"),
        (0.996, "99.6 %"),
        (0.9996, ">99.9 %"),
        (1.0, "100 %"),
        (0.004, "0.4 %"),
        (0.0001, "<0.1 %"),
        (0.0, "0 %"),
    ],
)
def test_a_share_that_is_not_whole_never_reads_as_all_or_nothing(share: float, said: str) -> None:
    assert in_percent(share) == said
    assert in_percent(0.99949, 1) == "99.9 %"
