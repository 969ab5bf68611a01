import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from aucue.cues import AnatomicalRegions, AUCue
from aucue.errors import InputError
from aucue.faces import LEFT_HALF, MIRROR

from .conftest import mirrored

FRAME = (224, 224)


def table(folder: Path, row: str, name: str = "regions.yaml") -> Path:
    path = folder / name
    path.write_text(f"name: mine\naction_units:\n  1: {{{row}}}\n", encoding="utf-8")
    return path


@pytest.fixture
def eyes_100_apart(face):
    """A face whose eye centres are exactly 100 pixels apart in a frame of 448 x 448."""
    distance = face[42:48].mean(0) - face[36:42].mean(0)
    scaled = (face - 111.5) * (100 / distance.norm()) + 223.5
    return scaled[None]


def test_disc_by_hand(tmp_path, eyes_100_apart):
    # Radius half an inter-ocular distance = 50 px, edge 0.1: q = (r / 50)^2 falls from 1 to 0 over 1 -+ 0.2.
    path = table(tmp_path, "where: midline, centre: {30: 1}, axes: [0.5, 0.5]")
    maps, valid = AUCue(regions=path, classes=["neutral"]).single(eyes_100_apart, (448, 448))
    assert valid.all()
    y, x = torch.meshgrid(torch.arange(448.0), torch.arange(448.0), indexing="ij")
    cx, cy = eyes_100_apart[0, 30]
    q = ((x - cx) ** 2 + (y - cy) ** 2) / 50**2
    level = ((1.2 - q) / 0.4).clamp(0, 1)
    torch.testing.assert_close(maps[0, 0], 3 * level**2 - 2 * level**3, atol=1e-4, rtol=0)


@pytest.mark.parametrize("angle", [0, 30])
def test_bilateral_ellipse_by_hand(tmp_path, eyes_100_apart, angle):
    row = f"where: bilateral, centre: {{36: 3, 39: 1}}, out: 0.2, up: 0.4, axes: [0.3, 0.1], angle: {angle}"
    maps, _ = AUCue(regions=table(tmp_path, row), classes=["neutral"]).single(eyes_100_apart, (448, 448))
    points = eyes_100_apart[0]

    def value(x: float, y: float) -> float:
        return functional.grid_sample(
            maps, torch.tensor([[[[(2 * x + 1) / 448 - 1, (2 * y + 1) / 448 - 1]]]]), align_corners=False
        ).item()

    for side, outer, inner in ((-1, 36, 39), (1, 45, 42)):  # left and right in the picture
        cx, cy = (0.75 * points[outer] + 0.25 * points[inner]).tolist()
        cx, cy = cx + side * 20, cy - 40
        out, up = (
            math.cos(math.radians(angle)) * side,
            -math.sin(math.radians(angle)),
        )  # of the raised outer end
        assert value(cx, cy) == pytest.approx(1)
        for along, across in ((30, 0), (-30, 0), (0, 10), (0, -10)):
            x, y = cx + along * out - across * up * side, cy + along * up + across * out * side
            assert value(x, y) == pytest.approx(0.5, abs=0.03)


def similar(landmarks: torch.Tensor, angle: float, scale: float, shift: tuple[float, float]) -> torch.Tensor:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turn = torch.tensor([[cos, -sin], [sin, cos]])
    return (landmarks - 111.5) @ turn.T + 111.5 + torch.tensor(shift)


@pytest.mark.parametrize(
    ("angle", "scale", "shift"),
    [(0.4, 1.0, (0.0, 0.0)), (-1.1, 0.7, (12.3, -20.6)), (2.5, 1.2, (-8.0, 3.3)), (0.0, 0.55, (30.0, 30.0))],
)
def test_turning_scaling_and_shifting_the_face_moves_the_map(faces, angle, scale, shift):
    # With a frame of one pixel, the map's only value is that at the origin: shift a face to read it anywhere.
    draw = AUCue()
    places = 10 + 200 * torch.rand(300, 1, 2)
    for face in faces:
        before, _ = draw.single(face - places, (1, 1))
        after, _ = draw.single(
            similar(face, angle, scale, shift) - similar(places, angle, scale, shift), (1, 1)
        )
        assert ((before > 0.01) & (before < 0.99)).sum() > 20  # edges were met
        torch.testing.assert_close(after, before, atol=1e-3, rtol=0)


def test_quarter_turns_are_exact(faces):
    draw = AUCue()
    before, _ = draw.single(faces, FRAME, (28, 28))
    turned = torch.stack((faces[..., 1], 223 - faces[..., 0]), -1)  # counter-clockwise
    after, _ = draw.single(turned, FRAME, (28, 28))
    torch.testing.assert_close(after, before.rot90(1, (2, 3)), atol=1e-4, rtol=0)


def test_mirror_is_exact(faces):
    draw = AUCue()
    before, _ = draw.single(faces, (224, 200), (28, 50))
    after, _ = draw.single(mirrored(faces, 200), (224, 200), (28, 50))
    torch.testing.assert_close(after, before.flip(-1), atol=1e-4, rtol=0)


def test_grid_samples_the_frame(faces):
    # Pixel j of the grid samples the frame at (j + 0.5) * size / grid - 0.5, as if the face were smaller.
    draw = AUCue()
    labels = torch.arange(1, 7)
    coarse = draw(faces, labels, FRAME, (28, 28)).map
    small = draw((faces + 0.5) / 8 - 0.5, labels, (28, 28)).map
    torch.testing.assert_close(coarse, small, atol=1e-4, rtol=0)
    # An odd grid of three cells per cell: the middle one samples the very same place.
    fine = draw(faces, labels, FRAME, (84, 84)).map
    torch.testing.assert_close(fine[..., 1::3, 1::3], coarse, atol=1e-4, rtol=0)


def test_action_units_lie_where_the_muscles_show(face):
    draw = AUCue()
    maps, _ = draw.single(face[None], FRAME)

    def at(unit: int, x: float, y: float) -> float:
        return maps[0, draw.action_units.index(unit), round(y), round(x)].item()

    points = {i: face[i].tolist() for i in range(68)}
    assert at(1, *points[21]) > 0.5  # inner brow, not outer
    assert at(1, *points[17]) < 0.1
    assert at(2, *points[18]) > 0.5
    assert at(2, *points[21]) < 0.1
    assert at(4, *((face[21] + face[22]) / 2).tolist()) > 0.5  # glabella
    assert at(6, points[36][0] - 6, points[36][1] + 6) > 0.5  # crow's feet
    assert at(6, points[41][0], points[41][1] + 10) > 0.5  # pouch below the lid
    assert at(7, *points[41]) > 0.5
    assert at(9, *points[28]) > 0.5
    assert at(12, *points[48]) > 0.5
    assert at(12, points[48][0] - 12, points[48][1] - 16) > 0.5  # towards the cheek
    assert at(15, points[48][0], points[48][1] + 12) > 0.5
    assert at(15, points[48][0], points[48][1] - 12) < 0.1
    assert at(17, *((2 * face[57] + 3 * face[8]) / 5).tolist()) == 1
    assert at(20, points[48][0] - 14, points[48][1]) > 0.5
    for unit in (23, 24, 25):
        assert at(unit, *((face[62] + face[66]) / 2).tolist()) > 0.9
    assert at(27, *points[62]) > 0.9
    area = maps.flatten(2).sum(2)[0]
    size = dict(zip(draw.action_units, area.tolist(), strict=True))
    assert size[27] > size[26] > size[25] > size[23]


def test_every_pair_of_action_units_differs(face):
    maps, _ = AUCue().single(face[None], FRAME, (28, 28))
    flat = functional.normalize(maps[0].flatten(1), dim=1)
    cosine = flat @ flat.T - torch.eye(len(flat))
    assert cosine.max() < 0.995


def test_level_does_not_depend_on_the_rest_of_the_face(face):
    # Unlike a stretched map, one that is half outside of the frame keeps its values.
    draw = AUCue(classes=["happiness"])
    whole = draw(face[None], torch.tensor([0]), FRAME).map
    shifted = draw(face[None] + torch.tensor([112.0, 0.0]), torch.tensor([0]), FRAME).map
    torch.testing.assert_close(shifted[..., 112:], whole[..., :112], atol=1e-4, rtol=0)


def test_eyes_in_one_place_are_invalid(face):
    collapsed = face.clone()
    collapsed[36:48] = 100.0
    cue = AUCue()(collapsed[None], torch.tensor([1]), FRAME)
    assert cue.valid.tolist() == [False]
    assert (cue.map == 0).all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("centre: {30: 1}, axes: [1, 1]", "AU1: 'where' must be bilateral or midline, not None"),
        ("where: midline, axes: [1, 1]", "AU1: 'centre' must be a mapping .*not nothing"),
        ("where: midline, centre: {68: 1}, axes: [1, 1]", "AU1, centre: 68 is not a landmark"),
        ("where: midline, centre: {30: x}, axes: [1, 1]", "AU1, centre, landmark 30 must be a number"),
        (
            "where: midline, centre: {30: 0}, axes: [1, 1]",
            "AU1, centre: the weights must sum to more than zero",
        ),
        (
            "where: midline, centre: {48: 1}, axes: [1, 1]",
            "AU1: the centre of a midline region must be symm",
        ),
        (
            "where: bilateral, centre: {54: 1, 51: 1}, out: 0.1, axes: [1, 1]",
            "AU1: .* picture's left half, .* name landmark 48 instead of 54",
        ),
        (
            "where: bilateral, centre: {45: 2, 36: 1}, angle: 9, axes: [1, 1]",
            "AU1: .* name landmark 36 instead of 45",
        ),
        ("where: midline, centre: {30: 1}, axes: [1, 1], out: 1", "AU1: .* neither 'out' nor 'angle'"),
        ("where: midline, centre: {30: 1}, axes: [1]", r"AU1: 'axes' must be \[half-width, half-height\]"),
        ("where: midline, centre: {30: 1}, axes: [1, 0]", "AU1: half-height must be greater than zero"),
        ("where: midline, centre: {30: 1}, axes: [1, .nan]", "AU1: half-height must be a number"),
        (
            "where: midline, centre: {30: 1}, axes: [1, 1.0e-200]",
            "AU1: half-height .* of proportion to a face",
        ),
        (
            "where: midline, centre: {30: 1}, axes: [1.0e+200, 1]",
            "AU1: half-width .* of proportion to a face",
        ),
        ("where: midline, centre: {30: 1}, up: -1.0e+39, axes: [1, 1]", "AU1: 'up' is out of proportion"),
        (
            "where: midline, center: {30: 1}, axes: [1, 1]",
            r"AU1: unknown entry 'center'.*Did you mean 'centre'\?",
        ),
    ],
)
def test_table_errors_name_the_entry(tmp_path, row, message):
    with pytest.raises(InputError, match=rf"regions\.yaml, {message}"):
        AnatomicalRegions(table(tmp_path, row))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "'action_units' must be a mapping"),
        ("action_units: {1: {}}", "'name' must be a text"),
        ("{name: x, action_units: {AU1: {}}}", "'AU1' is not an action-unit number"),
        ("{name: x, action_units: {1: wide}}", "AU1: must be a mapping"),
        ("{name: x, edge: 0, action_units: {1: {}}}", "'edge' must be greater than zero"),
        ("name: x\naction_units:\n  1: {}\n  1: {}", "line 4: duplicate entry 1"),
    ],
)
def test_file_errors(tmp_path, text, message):
    path = tmp_path / "regions.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"regions\.yaml.*{message}"):
        AUCue(regions=path)


def test_users_table(tmp_path, face):
    path = table(tmp_path, "where: midline, centre: {30: 1}, axes: [0.4, 0.2]")
    draw = AUCue(regions=path, classes=["neutral"])
    assert draw.regions.name == "mine"
    assert draw.action_units == (1,)
    with pytest.raises(InputError, match="Region model mine cannot draw AU2 Outer Brow Raiser"):
        AUCue(regions=path, classes=["surprise"])


def test_landmarks_of_the_left_half_are_those_left_of_the_nose(face):
    x = face[:, 0] - face[27:31, 0].mean()
    assert {int(point) for point in (x < -1).nonzero()} == LEFT_HALF
    assert {int(MIRROR[point]) for point in LEFT_HALF} == {int(point) for point in (x > 1).nonzero()}
