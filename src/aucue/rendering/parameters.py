"""What a synthetic face is made of: an identity, action-unit intensities, and a view of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from aucue.errors import InputError
from aucue.facs import ACTION_UNITS

BEARDS = ("none", "stubble", "moustache", "goatee", "full")

# sRGB from very fair to very deep; tones in between are interpolated.
_SKIN = np.array(
    [
        (250, 222, 206), (243, 207, 184), (235, 191, 160), (222, 172, 136), (203, 150, 112),
        (178, 124, 88), (148, 98, 67), (116, 75, 52), (92, 61, 45), (74, 50, 40),
    ]
) / 255  # fmt: skip
_HAIR = {
    "black": (30, 26, 28), "soft black": (46, 38, 36), "dark brown": (70, 48, 36), "brown": (104, 70, 46),
    "chestnut": (124, 68, 42), "auburn": (148, 70, 38), "copper": (186, 92, 44), "dark blond": (160, 122, 76),
    "blond": (212, 174, 112), "platinum": (230, 210, 172),
}  # fmt: skip
_GREY = np.array((188, 186, 184)) / 255
_EYES = {
    "dark brown": (66, 40, 26), "brown": (104, 64, 34), "amber": (148, 98, 44), "hazel": (126, 108, 58),
    "green": (92, 124, 84), "grey": (122, 136, 146), "blue": (88, 134, 176),
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Proportions of a head as departures from the mean, in standard deviations (roughly -2 to 2)."""

    face_width: float = 0.0
    jaw_width: float = 0.0
    chin_length: float = 0.0
    chin_width: float = 0.0
    forehead: float = 0.0
    brow_height: float = 0.0
    brow_arch: float = 0.0
    brow_thickness: float = 0.0
    eye_size: float = 0.0
    eye_opening: float = 0.0
    eye_tilt: float = 0.0
    eye_fold: float = 0.0
    nose_length: float = 0.0
    nose_width: float = 0.0
    nose_bridge: float = 0.0
    mouth_width: float = 0.0
    mouth_height: float = 0.0
    upper_lip: float = 0.0
    lower_lip: float = 0.0
    cupid_bow: float = 0.0
    cheekbones: float = 0.0
    ears: float = 0.0
    neck: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator, femininity: float, tone: float) -> "Shape":
        """Random proportions whose means shift mildly with femininity and skin tone (both in [0, 1])."""
        values = dict(
            zip((f.name for f in fields(cls)), np.clip(rng.normal(size=len(fields(cls))), -2, 2), strict=True)
        )
        sex = 2 * femininity - 1
        for name, shift in {
            "jaw_width": -0.7, "chin_length": -0.4, "chin_width": -0.6, "brow_height": 0.5, "brow_arch": 0.6,
            "brow_thickness": -0.8, "eye_size": 0.5, "nose_width": -0.5, "nose_length": -0.3, "neck": -1.0,
            "upper_lip": 0.4, "lower_lip": 0.4, "ears": -0.4,
        }.items():  # fmt: skip
            values[name] = 0.8 * values[name] + shift * sex
        depth = 2 * tone - 1
        for name, shift in {
            "nose_width": 0.5,
            "upper_lip": 0.5,
            "lower_lip": 0.5,
            "nose_bridge": -0.4,
        }.items():
            values[name] += shift * depth
        return cls(**{name: float(value) for name, value in values.items()})


@dataclass(frozen=True)
class Identity:
    """A person. Colours are (3,) sRGB in [0, 1]."""

    seed: int = 0
    femininity: float = 0.5
    age: float = 30.0
    """In years, 16 to 80."""
    tone: float = 0.3
    """Skin tone from very fair (0) to very deep (1)."""
    undertone: float = 0.0
    """From cool and rosy (-1) to warm and olive (1)."""
    shape: Shape = field(default_factory=Shape)
    hair_style: str = "short"
    hair_colour: tuple[float, float, float] = (0.3, 0.2, 0.15)
    hair_volume: float = 0.0
    """-1 to 1."""
    eye_colour: tuple[float, float, float] = (0.4, 0.25, 0.15)
    beard: str = "none"
    glasses: int = 0
    """0 none, 1 round, 2 rectangular."""
    freckles: float = 0.0
    make_up: float = 0.0
    earrings: bool = False
    clothing: int = 0
    """0 round neck, 1 V-neck, 2 shirt collar."""
    clothing_colour: tuple[float, float, float] = (0.3, 0.4, 0.5)
    side: int = 1
    """1 or -1: which way the hair is parted; everything random about the head is mirrored with it."""
    asymmetry: float = 0.0
    """Image-left features sit higher and open wider by this share, image-right ones less; about -.1 to .1."""

    @property
    def wrinkles(self) -> float:
        """How readily the skin creases, 0 (youth) to 1 (old age)."""
        return float(np.clip((self.age - 24) / 50, 0, 1))

    @cached_property
    def skin(self) -> np.ndarray:
        """Skin colour (3,)."""
        position = self.tone * (len(_SKIN) - 1)
        base = np.array([np.interp(position, range(len(_SKIN)), channel) for channel in _SKIN.T])
        tint = np.array([-0.006, 0.006, -0.028]) if self.undertone > 0 else np.array([0.004, -0.014, 0.006])
        return np.clip(base + abs(self.undertone) * tint * (1.2 - self.tone), 0, 1)

    @classmethod
    def draw(cls, seed: int) -> "Identity":
        """A random person; the same seed gives the same person."""
        rng = np.random.default_rng(seed)
        femininity = float(np.clip(rng.choice([0.12, 0.88]) + rng.normal() * 0.1, 0, 1))
        age = float(18 + 60 * rng.beta(1.3, 2.0))
        tone = float(rng.beta(1.1, 1.25))
        colour, grey = _draw_hair_colour(rng, tone, age)
        feminine = femininity > 0.5
        style = _draw_hair_style(rng, feminine, age, tone)
        beard = "none"
        if not feminine and rng.random() < 0.45:
            beard = str(rng.choice(BEARDS[1:], p=[0.45, 0.1, 0.12, 0.33]))
        hue = rng.random(3)
        return cls(
            seed=seed,
            femininity=femininity,
            age=age,
            tone=tone,
            undertone=float(rng.uniform(-1, 1)),
            shape=Shape.draw(rng, femininity, tone),
            hair_style=style,
            hair_colour=_tuple(mix_grey(colour, grey)),
            hair_volume=float(rng.uniform(-1, 1)),
            eye_colour=_tuple(_draw_eye_colour(rng, tone)),
            beard=beard,
            glasses=int(rng.choice([0, 1, 2], p=[0.84, 0.08, 0.08])),
            freckles=float(rng.uniform(0.4, 1) if tone < 0.4 and rng.random() < 0.16 else 0),
            make_up=float(rng.uniform(0.2, 1) if feminine and rng.random() < 0.6 else 0),
            earrings=bool(feminine and rng.random() < 0.35),
            clothing=int(rng.integers(3)),
            clothing_colour=_tuple(_draw_cloth(hue)),
            side=int(rng.choice([-1, 1])),
            asymmetry=float(np.clip(rng.normal() * 0.035, -0.08, 0.08)),
        )

    def mirrored(self) -> "Identity":
        """The same person in a mirror."""
        return replace(self, side=-self.side, asymmetry=-self.asymmetry)


@dataclass(frozen=True)
class View:
    """How a face is looked at, and lit."""

    roll: float = 0.0
    """Degrees; positive turns the head clockwise in the image."""
    yaw: float = 0.0
    """Degrees; positive turns the nose towards image-right."""
    pitch: float = 0.0
    """Degrees; positive lowers the nose."""
    scale: float = 0.24
    """Distance between the eye centres as a share of the picture's side."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Of the point between the eyes from its usual position, in shares of the picture's side."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Of the irises, in inter-ocular distances."""
    light: tuple[float, float] = (-0.5, -0.6)
    """(x, y) of the direction to the lamp: x positive at image-right, y negative above."""
    ambient: float = 0.5
    """Share of light without direction."""
    brightness: float = 1.0
    warmth: float = 0.0
    """Colour of the light from cold (-1) to warm (1)."""
    background: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (0.55, 0.62, 0.68),
        (0.8, 0.83, 0.84),
    )
    """Colours at the edge and behind the head."""
    noise: float = 0.0
    """Standard deviation of the sensor noise in grey levels of 255."""
    noise_seed: int = 0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "View":
        """A random view: nearly frontal, any indoor light."""
        hue = rng.random(3)
        deep = _draw_cloth(hue) * 0.5 + 0.32 * rng.random()
        return cls(
            roll=float(np.clip(rng.normal() * 4, -10, 10)),
            yaw=float(np.clip(rng.normal() * 6, -13, 13)),
            pitch=float(np.clip(rng.normal() * 4, -8, 8)),
            scale=float(rng.uniform(0.228, 0.25)),
            shift=(float(rng.uniform(-0.025, 0.025)), float(rng.uniform(-0.015, 0.015))),
            gaze=(
                float(np.clip(rng.normal() * 0.014, -0.04, 0.04)),
                float(np.clip(rng.normal() * 0.007, -0.015, 0.015)),
            ),
            light=(float(rng.uniform(-0.85, 0.85)), float(rng.uniform(-0.85, -0.1))),
            ambient=float(rng.uniform(0.4, 0.65)),
            brightness=float(rng.uniform(0.9, 1.1)),
            warmth=float(rng.uniform(-0.7, 1)),
            background=(_tuple(deep), _tuple(0.45 * deep + 0.5)),
            noise=float(rng.uniform(0.8, 3)),
            noise_seed=int(rng.integers(2**31)),
        )

    def mirrored(self) -> "View":
        """The same view in a mirror."""
        return replace(
            self,
            roll=-self.roll,
            yaw=-self.yaw,
            shift=(-self.shift[0], self.shift[1]),
            gaze=(-self.gaze[0], self.gaze[1]),
            light=(-self.light[0], self.light[1]),
        )


@dataclass(frozen=True)
class Sticker:
    """A round sticker beside the temple, the planted shortcut."""

    colour: tuple[float, float, float]
    side: int = 1
    """1 image-right, -1 image-left."""


@dataclass(frozen=True)
class FaceParameters:
    """Everything that decides a picture.

    Raises:
        InputError: An intensity outside [0, 1], or an action unit that cannot be shown.
    """

    identity: Identity = field(default_factory=Identity)
    action_units: Mapping[int, float] = field(default_factory=dict)
    """Number of one of the 20 standard units -> intensity in [0, 1]; absent = 0."""
    view: View = field(default_factory=View)
    skew: float = 0.0
    """The movements are this share stronger in the image-left half and weaker in the right."""
    mark: Sticker | None = None

    def __post_init__(self) -> None:
        for number, intensity in self.action_units.items():
            if number not in ACTION_UNITS:
                known = ", ".join(map(str, ACTION_UNITS))
                raise InputError(f"Rendered faces cannot show action unit {number!r}; they show {known}.")
            if not 0 <= intensity <= 1:
                raise InputError(f"AU{number} has intensity {intensity}; intensities lie between 0 and 1.")

    def mirrored(self) -> "FaceParameters":
        """The mirror image of this face."""
        mark = None if self.mark is None else replace(self.mark, side=-self.mark.side)
        return replace(
            self, identity=self.identity.mirrored(), view=self.view.mirrored(), skew=-self.skew, mark=mark
        )


def mix_grey(colour: np.ndarray, grey: float) -> np.ndarray:
    """Hair colour with a share of grey hair."""
    return colour + (_GREY - colour) * grey


def _tuple(colour: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(c) for c in colour)
    return red, green, blue


def _draw_hair_colour(rng: np.random.Generator, tone: float, age: float) -> tuple[np.ndarray, float]:
    fair = float(np.clip(1 - 1.9 * tone, 0, 1))
    weight = np.array([2.5, 2.5, 2.2, *(fair * np.array([2.6, 1.5, 0.9, 0.7, 2.0, 1.6, 0.5]))])
    name = rng.choice(list(_HAIR), p=weight / weight.sum())
    grey = float(np.clip((age - 42) / 34 + rng.normal() * 0.18, 0, 1)) if age > 38 else 0.0
    return np.array(_HAIR[str(name)]) / 255, grey


def _draw_eye_colour(rng: np.random.Generator, tone: float) -> np.ndarray:
    fair = float(np.clip(1 - 1.9 * tone, 0, 1))
    weight = np.array([2.5, 2, *(fair * np.array([0.8, 1.2, 1.0, 1.0, 2.2]))])
    return np.array(_EYES[str(rng.choice(list(_EYES), p=weight / weight.sum()))]) / 255


def _draw_hair_style(rng: np.random.Generator, feminine: bool, age: float, tone: float) -> str:
    coily = float(np.clip(2.2 * tone - 0.7, 0, 1))
    if feminine:
        weights = {
            "pixie": 0.8, "bob": 1.6, "long": 2.0 * (1 - 0.6 * coily), "waves": 1.8 * (1 - 0.5 * coily),
            "bun": 1.2, "curls": 0.6 + 1.4 * coily, "afro": 1.2 * coily, "scarf": 0.45, "buzz": 0.25 * coily,
        }  # fmt: skip
    else:
        weights = {
            "short": 2.0, "parted": 1.6 * (1 - coily), "quiff": 1.3 * (1 - coily), "buzz": 0.6 + 1.2 * coily,
            "curly": 0.7 + 1.2 * coily, "afro": 0.5 * coily, "bald": 0.3 + 0.4 * (age > 40),
            "balding": 1.2 * (age > 45), "long": 0.15,
        }  # fmt: skip
    probability = np.array(list(weights.values()))
    return str(rng.choice(list(weights), p=probability / probability.sum()))


def _draw_cloth(hue: np.ndarray) -> np.ndarray:
    """A muted colour: hue angle, saturation, lightness from three uniform numbers."""
    angle = 2 * np.pi * hue[0] + np.array([0, -2.1, 2.1])
    return np.clip(0.22 + 0.55 * hue[2] + (0.05 + 0.2 * hue[1]) * np.cos(angle), 0.05, 0.95)
