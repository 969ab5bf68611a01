import numpy as np
import pytest
from PIL import Image

from aucue.faces import MIRROR
from aucue.faces.alignment import transform_points, warp
from aucue.faces.mesh import _IBUG, MESH_MIRROR, NUM_POINTS, Meshes, Surroundings, draw, read_meshes, refined
from aucue.faces.network import Network


def test_the_mirror_is_its_own_inverse_and_fits_that_of_the_landmarks():
    np.testing.assert_array_equal(MESH_MIRROR[MESH_MIRROR], np.arange(NUM_POINTS))
    assert (np.arange(NUM_POINTS) == MESH_MIRROR).sum() == 28
    assert [MESH_MIRROR[i] for i in (33, 61, 152, 70, 234)] == [263, 291, 152, 300, 454]
    np.testing.assert_array_equal(_IBUG[MIRROR][:, MESH_MIRROR], _IBUG)


def test_landmarks_are_means_of_points():
    np.testing.assert_allclose(_IBUG.sum(axis=1), 1)
    points = np.random.default_rng(0).normal(size=(1, NUM_POINTS, 3))
    landmarks = Meshes(points, np.ones(1), np.zeros((1, 4))).landmarks[0]
    np.testing.assert_allclose(landmarks[45], points[0, 263, :2], rtol=1e-6)
    np.testing.assert_allclose(landmarks[54], points[0, 291, :2], rtol=1e-6)
    np.testing.assert_allclose(landmarks[20], points[0, [66, 107], :2].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(landmarks[23], points[0, [296, 336], :2].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("side", [40, 150, 700])
@pytest.mark.parametrize("centre", [(60, 40), (5, 90)])
def test_surroundings_are_drawn_as_warp_draws_them(side, centre):
    rows, columns = np.mgrid[0:100, 0:120]
    picture = np.stack([columns * 2, rows * 2, 120 + 60 * np.sin(rows / 9)], axis=-1).astype(np.uint8)
    where = Surroundings(centre, side, 0.4)
    drawn = draw(Image.fromarray(picture), where, 96).astype(float)
    assert np.abs(drawn - warp(picture, where.matrix(96), 96)).mean() < 3.5


class Still(Network):
    """A mesh that lies at the same place of every crop, sure of itself by what is told."""

    def __init__(self, points, *logits):
        self.name, self.side, self.points, self.logits = "mesh", 192, points, list(logits)
        self.seen = []

    def __call__(self, crops):
        self.seen.append(crops)
        logits = np.full((len(crops), 1), self.logits[min(len(self.seen), len(self.logits)) - 1])
        return np.tile(self.points.ravel(), (len(crops), 1)), logits


def face(angle=0.0, scale=1.0):
    """Points of a mesh in a crop of 192: filling two thirds of it, with the outer eyes level."""
    random = np.random.default_rng(3)
    points = np.column_stack([random.uniform(32, 160, (NUM_POINTS, 2)), np.zeros(NUM_POINTS)])
    points[[0, 1, 4, 5], :2] = (32, 96), (160, 96), (96, 32), (96, 160)
    points[[33, 263], :2] = (60, 80), (132, 80)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points[:, :2] = (points[:, :2] - 96) @ turn * scale + 96
    return points


def test_points_come_back_to_the_picture():
    where = Surroundings((200, 100), 96, 0.7)
    network = Still(face(), 3.0)
    meshes = read_meshes(network, Image.new("RGB", (300, 200)), [where])
    np.testing.assert_allclose(transform_points(where.matrix(192), meshes.points[0, :, :2]), face()[:, :2])
    np.testing.assert_allclose(meshes.presence, 1 / (1 + np.exp(-3)))
    np.testing.assert_allclose(meshes.seen, [(200, 100, 96, 0.7)])
    assert read_meshes(network, Image.new("RGB", (30, 20)), []).landmarks.shape == (0, 68, 2)


def test_a_mirrored_look_gives_the_same_points_of_a_symmetric_face():
    points = face()
    points = (points + (points * (-1, 1, 1) + (191, 0, 0))[MESH_MIRROR]) / 2
    where = [Surroundings((200, 100), 96, 0.7)]
    picture = Image.new("RGB", (300, 200))
    plain = read_meshes(Still(points, 3.0), picture, where)
    mirrored = read_meshes(Still(points, 3.0), picture, where, mirrored=True)
    np.testing.assert_allclose(mirrored.points, plain.points, atol=1e-9)


def test_a_second_look_is_where_the_first_found_the_face_and_the_less_sure_one_counts():
    network = Still(face(), 5.0, 1.0)
    picture = Image.new("RGB", (300, 200))
    first = read_meshes(network, picture, [Surroundings((150, 100), 90, 0.0)])
    assert not first.moved.any()
    both = refined(network, picture, first)
    assert len(network.seen) == 2
    np.testing.assert_allclose(both.presence, 1 / (1 + np.exp(-1)))


def test_what_was_looked_at_askew_is_looked_at_straight():
    """The face is found turned by half a right angle against its surroundings: it is read again, turned."""
    network = Still(face(angle=np.pi / 4), 5.0)
    picture = Image.new("RGB", (300, 200))
    first = read_meshes(network, picture, [Surroundings((150, 100), 90, 0.0)])
    assert first.moved.tolist() == [True]
    assert first.surroundings[0].angle == pytest.approx(np.pi / 4, abs=0.02)
    assert len(refined(network, picture, first).points) == 1
    assert len(network.seen) == 4  # it stays askew in every crop: two more looks, and the mirrored one
