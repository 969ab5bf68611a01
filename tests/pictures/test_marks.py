"""Points and boxes over photographs."""

import numpy as np
import pytest

from aucue import pictures
from aucue.errors import InputError
from aucue.pictures.marks import place_tags

GREY = np.full((4, 6, 3), 100, np.uint8)


def test_landmarks_land_on_their_pixels():
    drawn = pictures.draw_landmarks(
        np.zeros((9, 9, 3), np.uint8), np.array([[6, 2], [np.nan, 1]]), (255, 0, 0), 1
    )
    assert drawn[2, 6].tolist() == [255, 0, 0]  # x is the column, and the point is the pixel's centre
    assert drawn[:, :4].sum() == 0
    disc = drawn[0:5, 4:9].astype(int)
    assert np.abs(disc - disc[::-1]).max() < 5  # round
    assert np.abs(disc - disc.transpose(1, 0, 2)).max() < 5


def test_landmarks_and_boxes_name_wrong_shapes():
    with pytest.raises(InputError, match=r"landmarks.*\(68, 3\)"):
        pictures.draw_landmarks(GREY, np.zeros((68, 3)))
    with pytest.raises(InputError, match=r"boxes.*\(4,\)"):
        pictures.draw_boxes(GREY, np.zeros(4))
    with pytest.raises(InputError, match="1 boxes need as many labels, got 2"):
        pictures.draw_boxes(GREY, np.zeros((1, 4)), ["a", "b"])


def test_boxes_are_outlines():
    drawn = pictures.draw_boxes(
        np.zeros((60, 60, 3), np.uint8), np.array([[10, 20, 40, 50]]), color=(0, 255, 0)
    )
    assert drawn[20, 25, 1] > 100
    assert drawn[35, 39, 1] > 100
    assert drawn[35, 25].sum() == 0


def test_boxes_have_their_own_colours():
    boxes = np.array([[5, 5, 25, 25], [35, 35, 55, 55]])
    drawn = pictures.draw_boxes(
        np.zeros((60, 60, 3), np.uint8), boxes, ["", ""], colors=[(255, 0, 0), (0, 0, 255)]
    )
    assert drawn[25, 15].tolist() == [255, 0, 0]
    assert drawn[55, 45].tolist() == [0, 0, 255]


def rows_of_faces(across, rows, size, share):
    """Boxes and labels of faces in rows that fill a picture; a face has a share of its place."""
    width, height = size[0] / across, size[1] / rows
    corners = [(width * (i % across + 0.5), height * (i // across + 0.5)) for i in range(across * rows)]
    half = share * np.array([width, height]) / 2
    boxes = np.array([(x - half[0], y - half[1], x + half[0], y + half[1]) for x, y in corners])
    return boxes, [f"{i + 1} Happiness 87 %" for i in range(len(boxes))]


def meet(one, other):
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def assert_all_can_be_read(tags, boxes, size):
    for i, tag in enumerate(tags):
        assert not any(meet(tag.box, other.box) for other in tags[:i])
        assert not any(meet(tag.box, box) for j, box in enumerate(boxes) if j != i)
        assert tag.box[0] >= 0
        assert tag.box[1] >= 0
        assert tag.box[2] <= size[0]
        assert tag.box[3] <= size[1]
        assert tag.size >= 11
        assert tag.text.startswith(f"{i + 1}")


def test_one_label_stands_above_its_box():
    (tag,) = place_tags(np.array([[200, 300, 400, 500]]), ["1 Fear 60 %"], (1600, 960))
    assert (tag.text, tag.size) == ("1 Fear 60 %", 30)
    assert (tag.box[:2], tag.box[3]) == ((200, 255), 300)
    (tag,) = place_tags(np.array([[1500, 10, 1600, 110]]), ["1 Fear 60 %"], (1600, 960))
    assert (tag.box[1], tag.box[2]) == (10, 1600)  # in its own box, where there is no room above


@pytest.mark.parametrize(
    ("across", "rows", "share"), [(6, 2, 0.6), (6, 2, 0.9), (8, 3, 0.6), (8, 3, 0.8), (12, 2, 0.7)]
)
def test_labels_of_faces_in_rows_do_not_meet(across, rows, share):
    size = 1600, 900
    boxes, labels = rows_of_faces(across, rows, size, share)
    tags = place_tags(boxes, labels, size)
    assert_all_can_be_read(tags, boxes, size)
    assert place_tags(boxes, labels, size) == tags
    if across == 6:
        assert [tag.text for tag in tags] == labels


def test_a_label_that_would_meet_another_stands_below():
    boxes = np.array([[100, 300, 200, 400], [220, 300, 320, 400]])
    above, below = place_tags(boxes, ["1 Happiness 87 %", "2 Happiness 87 %"], (1600, 960))
    assert (above.box[3], below.box[1]) == (300, 400)
    assert above.size == below.size == 30


def test_a_label_without_room_becomes_smaller_and_then_a_number():
    # Between walls of faces, above and below, that leave room for letters of half the size.
    walls = [[0, 0, 1000, 300], [0, 420, 1000, 640]]
    boxes = np.array([*walls, [100, 325, 200, 395]])
    labels = ["1", "2", "3 Happiness 87 %"]
    tag = place_tags(boxes, labels, (1000, 640))[2]
    assert (tag.text, tag.size) == (labels[2], 16)
    walls = [[0, 325, 90, 395], [210, 325, 1000, 395]]  # beside it too
    boxes = np.array([*walls, [100, 325, 200, 395], [0, 0, 1000, 320], [0, 400, 1000, 640]])
    tag = place_tags(boxes, ["1", "2", labels[2], "4", "5"], (1000, 640))[2]
    assert tag.text == "3"
    assert not any(meet(tag.box, box) for i, box in enumerate(boxes) if i != 2)


def test_labels_of_faces_in_one_place_are_still_drawn():
    boxes = np.tile([[2.0, 2.0, 12.0, 12.0]], (9, 1))
    labels = [f"{i} Fear" for i in range(9)]
    assert len(place_tags(boxes, labels, (14, 14))) == 9
    assert pictures.draw_boxes(np.zeros((14, 14, 3), np.uint8), boxes, labels).shape == (14, 14, 3)


def test_no_outline_runs_through_a_label():
    # The first label has no other place than at the upper edge of the second box.
    boxes = np.array([[110, 10, 119, 110], [0, 18, 120, 120]])
    labels, black = ["1", "2"], np.zeros((120, 120, 3), np.uint8)
    drawn = pictures.draw_boxes(black, boxes, labels, colors=[(255, 0, 0), (0, 0, 255)])
    for tag, ink in zip(place_tags(boxes, labels, (120, 120)), (0, 2), strict=True):
        left, top, right, bottom = (round(value) for value in tag.box)
        inside = drawn[top + 2 : bottom - 2, left + 2 : right - 2]
        assert not (inside.argmax(axis=2)[inside.max(axis=2) > 60] != ink).any()
