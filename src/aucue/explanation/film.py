"""Video files: frames in, one by one, and frames out. Memory does not grow with their length."""

import errno
import importlib
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from aucue.errors import InputError, MissingExtraError, said
from aucue.work.files import appearing

Item = TypeVar("Item")

_LARGEST = 1280  # longer side of a frame that is read, in pixels
MAX_FRAME = 40_000_000
"""Width times height of a frame that is decoded: 8K has 33 million pixels."""

# Nothing is read beside the file that was named: lists of other files and addresses, which players follow
# (HLS, concat), are no videos here.
_ONLY = {
    "format_whitelist": "mov,matroska,webm,avi,flv,mpeg,mpegts,ogg,asf",
    "protocol_whitelist": "file",
}
_BACK = 1.0  # seconds; times that go back by more begin anew: clips of a camcorder put one behind the other
_ROUNDING = 1.1e-3  # seconds by which two times may be wrong: Matroska and WebM round each to milliseconds


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video.

    Attributes:
        image: (H, W, 3) uint8, upright, its pixels square.
        time: Seconds from the first frame.
        index: Number among all frames of the video.
    """

    image: NDArray[np.uint8]
    time: float
    index: int


class FilmReader:
    """Frames of a video file at a given rate; a context manager.

    Frames come as players show them: upright, and as wide as their pixels are meant to be. Those whose longer
    side exceeds 1280 pixels are shrunk.

    Args:
        path: The file, or one that is open, to read and to seek in.
        fps: Frames per second that are given, by the times of the frames; all where the video has fewer.
        name: What errors call it; default its path.
        most_pixels: Largest width times height of a frame.

    Attributes:
        seconds: Length as the file states it, None if it does not.
        fps: Frames per second that come at most.
        missing: When all frames were given: "ends after 0.5 s of 2.0 s" if the file is cut short, else empty.

    Raises:
        InputError: The file cannot be read as a video.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(
        self, path: Path | IO[bytes], fps: float, name: str = "", most_pixels: int = MAX_FRAME
    ) -> None:
        self._av = load_av()
        self._name = name or str(path)
        source: Any = path
        if isinstance(path, str | os.PathLike):
            if not os.path.isfile(path):
                raise InputError(f"{path} does not exist; check the path.")
            source = str(path)
        try:
            self._container = self._av.open(source, options=_ONLY)
        except (self._av.FFmpegError, ValueError) as error:
            why = "no video of a kind that is read" if error.args[:1] == (errno.EINVAL,) else said(error)
            raise InputError(f"{self._name} is not a video that can be read: {why}.") from error
        if not self._container.streams.video:
            kinds = " and ".join(sorted({stream.type for stream in self._container.streams})) or "nothing"
            self._container.close()
            raise InputError(f"{self._name} holds no pictures, only {kinds}.")
        self._stream = self._container.streams.video[0]
        if self._stream.width * self._stream.height > most_pixels:
            self._container.close()
            raise InputError(
                f"{self._name} has frames of more than {most_pixels / 1e6:g} million pixels; make it smaller."
            )
        self._stream.codec_context.options = {"max_pixels": str(most_pixels)}  # a later frame may be larger
        # Of DV, HDV and DVDs: 1440 x 1080 pixels, each 4 wide and 3 high, are shown as 1920 x 1080.
        self._stretch = float(self._stream.sample_aspect_ratio or 1)
        self._rate = float(self._stream.average_rate or fps)
        self._wanted = fps
        # Where the rate varies, the average says little: frames may come much faster for a while.
        self.fps = min(fps, max(self._rate, float(self._stream.guessed_rate or 0)))
        self.missing = ""
        duration = self._container.duration
        self.seconds = duration / self._av.time_base if duration else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames: the first, and then the first of each 1 / fps seconds.

        Raises:
            InputError: The video is broken; the message says where.
        """
        frames = sampled(self._timed(), self._wanted)
        for time, (index, frame) in frames:
            try:
                image = _upright(frame, self._stretch)
            except (self._av.FFmpegError, ValueError) as error:
                raise self._broken(time, error) from error
            yield Frame(image, time, index)

    def _timed(self) -> Iterator[tuple[float, tuple[int, Any]]]:
        """All frames, with their time from the first one and their number."""
        start, index, time, step, end = None, 0, 0.0, 0.0, 0.0
        try:
            for packet in self._container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index != self._stream.index:
                    continue
                for frame in packet.decode():
                    now = index / self._rate if frame.time is None else frame.time
                    start = now if start is None else start
                    if now - start < time - _BACK:
                        start = now - time - step
                    step, time = now - start - time, now - start
                    yield time, (index, frame)
                    index += 1
        except (self._av.FFmpegError, ValueError) as error:
            raise self._broken(time, error) from error
        if start is None:
            raise InputError(f"{self._name} holds no frame.")
        self.missing = _missing(time + 1 / self._rate, end, self.seconds, 3 / self._rate)

    def _broken(self, time: float, error: Exception) -> InputError:
        return InputError(f"{self._name} is broken after {time:.1f} s: {said(error)}.")


def sampled(frames: Iterable[tuple[float, Item]], fps: float) -> Iterator[tuple[float, Item]]:
    """Of frames with their times those that a rate asks for: the first of each 1 / fps seconds.

    Times that are wrong by up to half a millisecond, as some containers round them, change nothing.

    Args:
        frames: Time in seconds from the first frame, and the frame.
        fps: Frames per second.
    """
    due = 0
    for time, frame in frames:
        reached = math.floor((time + _ROUNDING) * fps)
        if reached >= due:
            due = reached + 1
            yield time, frame


def _missing(shown: float, end: float, stated: float | None, room: float) -> str:
    """Whether a film is shorter than it says. Its sound may go on when its pictures have ended.

    Args:
        shown: Seconds of pictures.
        end: When the last of all its streams ends.
        stated: Its length as the file states it.
        room: Seconds that may be missing, since the last times are rarely exact.
    """
    if stated is None or stated - max(shown, end) <= max(0.1, room, 0.02 * stated):
        return ""
    return f"ends after {shown:.1f} s of {stated:.1f} s"


class FilmWriter:
    """Writes an MP4 file that appears whole or not at all; a context manager.

    H.264 where this build of FFmpeg has an encoder for it, MPEG-4 otherwise.

    Args:
        path: The file, ending in .mp4.
        fps: Frames per second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._av = load_av()
        self._path, self._stack = path, ExitStack()
        self._rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
        self._container: Any = None
        self._stream: Any = None
        self._last = -1

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            unfinished = stack.enter_context(appearing(self._path))
            options = {"movflags": "faststart"}
            self._container = self._av.open(str(unfinished), "w", format="mp4", options=options)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        with self._stack:  # told of an error, it leaves no file
            if error[0] is None and self._stream is not None:
                for packet in self._stream.encode():
                    self._container.mux(packet)
                self._container.close()
                return
            with suppress(self._av.FFmpegError):  # a file without a frame cannot be finished
                self._container.close()
            if error[0] is not None:
                self._stack.pop_all().__exit__(*error)

    def write(self, image: NDArray[np.uint8], time: float) -> None:
        """Add a frame.

        Args:
            image: (H, W, 3); all of one size. An odd side loses its last pixel.
            time: In seconds; later than the frame before.
        """
        height, width = (side - side % 2 for side in image.shape[:2])
        if self._stream is None:
            self._stream = self._open(width, height)
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        self._last = max(self._last + 1, round(time * self._rate))
        frame.pts, frame.time_base = self._last, 1 / self._rate
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _open(self, width: int, height: int) -> Any:
        h264 = "libx264" in self._av.codecs_available
        stream = self._container.add_stream("libx264" if h264 else "mpeg4", rate=self._rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = 1 / self._rate
        if h264:
            stream.options = {"preset": "veryfast", "crf": "21"}
        else:
            stream.bit_rate = 4 * width * height
        return stream


def load_av() -> Any:
    """PyAV.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingExtraError(
            "Reading videos needs PyAV, which is not installed; install it with: pip install 'aucue[video]'."
        ) from error


def _upright(frame: Any, stretch: float) -> NDArray[np.uint8]:
    """A frame as players show it, shrunk if it is large; `stretch` is how wide a pixel is for its height."""
    shown = frame.width * stretch, frame.height
    scale = min(1.0, _LARGEST / max(shown))
    width, height = (max(2, round(side * scale)) for side in shown)  # fewer cannot be written as a film
    image = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(turned(image, _display_matrix(frame)))


def turned(image: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A picture as a player shows it.

    Args:
        image: (H, W, 3) as it is stored.
        matrix: (a, b, c, d): what is stored at x, y is shown at a x + c y, b x + d y. Turns by less than 45
            degrees are left as they are.
    """
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.swapaxes(0, 1), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _display_matrix(frame: Any) -> tuple[int, int, int, int]:
    for data in frame.side_data.keys():  # noqa: SIM118
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
            return a, b, c, d
    return 1, 0, 0, 1
