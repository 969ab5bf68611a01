"""Faces at any angle, their landmarks and pose: BlazeFace finds, the face mesh reads and decides."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.faces.candidates import Candidates, detect, merged, separate, share
from aucue.faces.detection import Detection
from aucue.faces.mesh import Meshes, Surroundings, draw, read_meshes, refined
from aucue.faces.network import Network
from aucue.faces.pose import pose_of
from aucue.faces.tiles import Tile, cut, tiles

_TILES = (1, 2, 4, 7)
"""Tiles along the longer side of the picture, coarse to fine; the whole picture is shown to two networks."""

_FINEST = 160.0  # pixels of a tile's side, below which there is no finer detail to see
_PORTRAIT = 0.25  # of the shorter side: nobody smaller is searched beside a face of this height
_SEEN = 0.25  # of a tile's side: of faces of this height, no look at such tiles misses many
_SCORE = 0.35  # of a candidate
_LIKELY = 0.6  # the same: less is a face only if the mesh is sure
_PRESENT = 0.5  # of a mesh
_CLEAR = 0.99999  # the same: nearly every face that is seen upright has more
_ABSENT = 0.2  # the same: no face whichever way up
_AROUND = 1.3  # of a face's surroundings, looked at by a detector
_SURE = 0.99  # the same, where the detector is not, or the face was found turned or is tiny
_TINY = 20.0  # pixels of height
_WITHIN = 0.6  # of the smaller of two faces that they may share: a tile's edge cuts a face
_DOUBTFUL = 0.45  # the same where the candidate is not likely: hair and forehead may look like a face, too
_KNOWN = 0.5  # of the union that a candidate shares with a face which was found already
_MARGIN = 0.25  # black border, as a share of the sides, around a picture that a face may fill


class MeshDetector:
    """Finds faces with MediaPipe's networks, which come with aucue (Apache-2.0), and reads 68 landmarks.

    The whole picture is searched first, then ever smaller tiles of it unless a face is large in it. What may
    be a face is one if the face mesh says so. If there is none, the picture is searched with a border, and
    then turned by quarters: a face is found at any angle. Each has a pose and a presence, see `Detection`.

    Nothing is loaded before the first call. May be shared by threads and sent to worker processes.

    Args:
        full_frame: Every picture is the crop of one face (FER-2013, RAF-DB): only the surest face is
            returned, and where none is found the whole picture is taken as one (`how` = "full-frame").
        device: `cpu`, or `cuda` where onnxruntime-gpu is installed.

    Raises:
        InputError: The device cannot be used.
    """

    sees_pixels_alone = True

    def __init__(self, *, full_frame: bool = False, device: str = "cpu") -> None:
        self.full_frame = full_frame
        self._near, self._far = Network("near", device), Network("far", device)
        self._mesh = Network("mesh", device)

    def __call__(self, image: NDArray[np.uint8], key: str | None = None) -> list[Detection]:
        """Detect all faces of an image (H, W, 3) uint8; `key` is not used."""
        picture = Image.fromarray(image)
        found = self._plain(picture) or self._padded(picture) or self._turned(picture)
        if not self.full_frame:
            return found
        return [max(found, key=lambda face: face.score)] if found else [self._whole(picture)]

    def in_boxes(self, image: NDArray[np.uint8], boxes: Sequence[Sequence[float]]) -> list[Detection]:
        """Read the faces in boxes that somebody has drawn, at the quarter turn of which the mesh is surest.

        Args:
            image: (H, W, 3) uint8.
            boxes: (left, top, right, bottom) in pixels, counted from the corner.

        Returns:
            One face per box, in the same order (`how` = "given box"); `presence` says how much of one it is.
        """
        picture = Image.fromarray(image)
        return [self._in_box(picture, np.asarray(box, dtype=np.float64), "given box") for box in boxes]

    def _plain(self, picture: Image.Image) -> list[Detection]:
        """Search ever smaller tiles, until a face is large in the picture, and in the tiles as well: where a
        picture is long, others of the same height may be too small to be seen in the whole of it.
        """
        found = _Found.none()
        for network, where in self._looks(picture, _TILES):
            candidates = found.beside(self._candidates(picture, where, network))
            found = found.joined(self._read(picture, candidates, "plain" if len(where) == 1 else "tile"))
            if found.largest >= max(_PORTRAIT * min(picture.size), _SEEN * where[0].side):
                break
        return found.detections()

    def _padded(self, picture: Image.Image) -> list[Detection]:
        """Search with a border."""
        side = (1 + 2 * _MARGIN) * max(picture.size)
        where = Tile((picture.width - side) / 2, (picture.height - side) / 2, side)
        found = _Found.none()
        for network in (self._near, self._far):
            found = found.joined(self._read(picture, self._candidates(picture, [where], network), "padded"))
        return found.detections()

    def _turned(self, picture: Image.Image) -> list[Detection]:
        """Search at quarter turns; the one at which the mesh is surest counts, so that no face is found
        twice.
        """
        best = _Found.none()
        for quarters, turn in enumerate(_TURNS, start=1):
            turned = picture.transpose(turn)
            for network, where in self._looks(turned, _TILES[:2]):
                candidates = self._candidates(turned, where, network)
                found = self._read(picture, candidates, "turned", quarters)
                if found.surest > best.surest:
                    best = found
        return best.detections()

    def _looks(self, picture: Image.Image, levels: Sequence[int]) -> Iterator[tuple[Network, list[Tile]]]:
        """Which network sees which tiles, one look after the other."""
        for across in levels:
            where = tiles(picture.size, across)
            if across == 1:
                yield self._near, where
            elif where[0].side < _FINEST:
                return
            yield self._far, where

    def _candidates(self, picture: Image.Image, where: list[Tile], network: Network) -> Candidates:
        """Where faces may be in tiles of one side."""
        found = detect(network, cut(picture, where, network.side), _SCORE)
        parts = [
            candidates.placed(tile.side / network.side, (tile.left, tile.top))
            for tile, candidates in zip(where, found, strict=True)
        ]
        return merged(Candidates.joined(parts))

    def _read(
        self,
        picture: Image.Image,
        candidates: Candidates,
        how: str,
        quarters: int = 0,
    ) -> "_Found":
        """The candidates that are faces, with their meshes; `quarters` says how the picture was turned for
        them.
        """
        where = [
            Surroundings.of(
                _back(box.reshape(2, 2), picture.size, quarters), _angle(eyes) + quarters * np.pi / 2
            )
            for box, eyes in zip(candidates.boxes, candidates.eyes, strict=True)
        ]
        meshes, turned = self._whichever_way_up(picture, where)
        likely = np.flatnonzero(meshes.presence >= _PRESENT)
        meshes = refined(self._mesh, picture, meshes.taken(likely))
        scores, turned = candidates.scores[likely], (turned[likely] > 0) | (quarters > 0)
        tiny = meshes.boxes[:, 3] - meshes.boxes[:, 1] < _TINY
        clear = (scores >= _LIKELY) & ~turned & ~tiny
        sure = np.flatnonzero(meshes.presence >= np.where(clear, _PRESENT, _SURE))
        ways = tuple("turned" if turned[i] else how for i in sure)
        return _Found.none().joined(_Found(meshes.taken(sure), scores[sure], ways))

    def _whichever_way_up(
        self, picture: Image.Image, where: list[Surroundings]
    ) -> tuple[Meshes, NDArray[np.intp]]:
        """Meshes, and by how many quarters each was turned: a face that stands on its head may be found as
        if it did not, but its mesh is surer where eyes are eyes.
        """
        meshes, turned = read_meshes(self._mesh, picture, where), np.zeros(len(where), np.intp)
        doubtful = np.flatnonzero((meshes.presence > _ABSENT) & (meshes.presence < _CLEAR))
        for quarters in (1, 2, 3):
            seen = [where[i]._replace(angle=where[i].angle + quarters * np.pi / 2) for i in doubtful]
            others = read_meshes(self._mesh, picture, seen)
            better = others.presence > meshes.presence[doubtful]
            turned[doubtful[better]] = quarters
            for mine, its in zip(meshes, others, strict=True):
                mine[doubtful[better]] = its[better]
        other_way = np.flatnonzero(turned)
        again = read_meshes(self._mesh, picture, self._found_upright(picture, meshes.taken(other_way)))
        better = again.presence >= _PRESENT
        for mine, its in zip(meshes, again, strict=True):
            mine[other_way[better]] = its[better]
        return meshes, turned

    def _found_upright(self, picture: Image.Image, meshes: Meshes) -> list[Surroundings]:
        """Where faces lie that were found the wrong way up, hence in the wrong place: detected anew."""
        side, where = self._near.side, []
        for x, y, length, angle in meshes.seen.tolist():
            around = Surroundings((x, y), _AROUND * length, angle)
            (found,) = detect(self._near, draw(picture, around, side)[None], _SCORE)
            if len(found.scores):
                scale, centre = around.side / side, found.boxes[0].reshape(2, 2).mean(axis=0) - side / 2
                cos, sin = scale * np.cos(angle), scale * np.sin(angle)
                x, y = x + cos * centre[0] - sin * centre[1], y + sin * centre[0] + cos * centre[1]
                its = Surroundings.of(scale * found.boxes[0], angle + _angle(found.eyes[0]))
                where.append(its._replace(centre=(x, y)))
            else:
                where.append(Surroundings((x, y), length, angle))
        return where

    def _in_box(self, picture: Image.Image, box: NDArray[np.float64], how: str) -> Detection:
        """One face in a box, whichever way up; upright where the mesh sees none in any way. A box may be
        drawn widely, around the hair or the shoulders: the face is looked for in it.
        """
        where = [Surroundings.of(box, quarters * np.pi / 2) for quarters in range(4)]
        meshes = read_meshes(self._mesh, picture, where)
        closer = read_meshes(self._mesh, picture, self._found_upright(picture, meshes))
        inside = ((closer.seen[:, :2] > box[:2]) & (closer.seen[:, :2] < box[2:])).all(axis=1)
        better = inside & (closer.presence >= _PRESENT)
        for mine, its in zip(meshes, closer, strict=True):
            mine[better] = its[better]
        surest = int(meshes.presence.argmax())
        if meshes.presence[surest] > _ABSENT:
            meshes = refined(self._mesh, picture, meshes.taken([surest]))
        else:
            meshes = meshes.taken([0])
        (face,) = _Found(meshes, np.array([np.nan]), (how,)).detections()
        return replace(face, box=(box[0].item(), box[1].item(), box[2].item(), box[3].item()))

    def _whole(self, picture: Image.Image) -> Detection:
        return self._in_box(picture, np.array([0.0, 0.0, *picture.size]), "full-frame")


class _Found(NamedTuple):
    """Faces of a picture, no two in one place, with the scores of the detectors, and how each was found."""

    meshes: Meshes
    scores: NDArray
    how: tuple[str, ...]

    @classmethod
    def none(cls) -> "_Found":
        """No faces."""
        return cls(Meshes.none(), np.zeros(0), ())

    @property
    def largest(self) -> float:
        """Height of the largest face in pixels."""
        boxes = self.meshes.boxes
        return float((boxes[:, 3] - boxes[:, 1]).max(initial=0))

    @property
    def surest(self) -> float:
        """The greatest presence."""
        return float(self.meshes.presence.max(initial=0))

    def joined(self, others: "_Found") -> "_Found":
        """Both; of two in one place, that with the surer mesh: a part of a face may look like a small one."""
        meshes = Meshes(*map(np.concatenate, zip(self.meshes, others.meshes, strict=True)))
        scores, how = np.concatenate([self.scores, others.scores]), self.how + others.how
        within = np.where(scores < _LIKELY, _DOUBTFUL, _WITHIN)
        kept = separate(meshes.boxes, np.argsort(-meshes.presence, kind="stable"), within)
        return _Found(meshes.taken(kept), scores[kept], tuple(how[i] for i in kept))

    def beside(self, candidates: Candidates) -> Candidates:
        """The candidates that are none of these faces."""
        boxes = self.meshes.boxes
        known = [share(box, boxes)[0].max(initial=0) > _KNOWN for box in candidates.boxes]
        return candidates.taken(~np.array(known, dtype=bool))

    def detections(self) -> list[Detection]:
        """The same as anybody takes them."""
        rows = zip(
            self.meshes.boxes.tolist(), self.scores.tolist(), self.meshes.landmarks, self.how, strict=True
        )
        return [
            Detection((box[0], box[1], box[2], box[3]), score, landmarks, how, presence, pose_of(points))
            for (box, score, landmarks, how), presence, points in zip(
                rows, self.meshes.presence.tolist(), self.meshes.points, strict=True
            )
        ]


_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def _back(points: NDArray, size: tuple[int, int], quarters: int) -> NDArray:
    """Corners (2, 2) of a box in a picture that was turned by quarters -> those of the box in the picture."""
    width, height = size
    x, y = points.T
    if quarters == 1:
        x, y = width - y, x
    elif quarters == 2:
        x, y = width - x, height - y
    elif quarters == 3:
        x, y = y, height - x
    corners = np.stack([x, y], axis=1)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _angle(eyes: NDArray) -> float:
    across = eyes[1] - eyes[0]
    return float(np.arctan2(across[1], across[0]))
