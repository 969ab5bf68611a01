"""A cue without expressions: the landmarks themselves."""

import torch
from torch import Tensor

from aucue.cues.cue import Cue, check_frame
from aucue.cues.grids import min_max, pixels
from aucue.faces import JAW


class LandmarkCue:
    """Draws a round bump at every landmark, the union of them stretched to [0, 1].

    Each bump is the density of an isotropic normal distribution; the map is their pixelwise maximum. This is
    the landmark heatmap that the paper compares the action-unit map with (variance 64, no jaw, 224 x 224).

    Args:
        variance: Of a bump, in square pixels of the frame.
        jaw: Whether the jaw line (landmarks 0 to 16) is drawn too.
    """

    def __init__(self, variance: float = 64.0, jaw: bool = False) -> None:
        self.variance = variance
        self.jaw = jaw

    def __call__(self, landmarks: Tensor, size: tuple[int, int], grid: tuple[int, int] | None = None) -> Cue:
        """Draw the cue.

        Args:
            landmarks: (B, 68, 2), (x, y) in pixels of the frame; NaN if missing.
            size: (H, W) of the frame in pixels.
            grid: (h, w) of the map, default `size`.

        Returns:
            The cue, (B, 1, h, w); invalid where a landmark is missing or the map is constant.

        Raises:
            InputError: A shape or size is wrong.
        """
        size, grid = check_frame(landmarks, size, grid)
        landmarks = landmarks.float()
        points = landmarks if self.jaw else landmarks[:, JAW.stop :]
        x, y = (pixels(g, s, landmarks.device) for g, s in zip(reversed(grid), reversed(size), strict=True))
        # The nearest landmark gives the maximum; the density's constant factor cancels in the stretch.
        nearest = landmarks.new_full((len(landmarks), *grid), torch.inf)
        for point in points.unbind(1):
            dx, dy = x - point[:, :1], y - point[:, 1:]
            nearest = torch.minimum(nearest, dy.square().unsqueeze(2) + dx.square().unsqueeze(1))
        density = (nearest / (-2 * self.variance)).exp()
        maps, stretched = min_max(density)
        return Cue.of(maps, stretched & landmarks.isfinite().flatten(1).all(1))
