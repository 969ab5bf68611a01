import pytest

from aucue.faces import overlap


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 2, 2), 1.0),
        ((1, 1, 3, 3), 1 / 7),
        ((0, 0, 1, 1), 1 / 4),
        ((2, 0, 4, 2), 0.0),
        ((5, 5, 6, 6), 0.0),
        ((1, 1, 1, 1), 0.0),
        ((3, 3, 1, 1), 0.0),
    ],
)
def test_overlap(other: tuple[float, float, float, float], expected: float) -> None:
    box = (0.0, 0.0, 2.0, 2.0)
    assert overlap(box, other) == overlap(other, box) == pytest.approx(expected)


def test_two_empty_boxes_do_not_overlap() -> None:
    assert overlap((1, 1, 1, 1), (1, 1, 1, 1)) == 0
