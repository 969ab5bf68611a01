"""Video files: frames in, one by one, and frames out. Memory does not grow with their length."""

import importlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aucue.errors import InputError, MissingExtraError

_LARGEST = 1280  # longer side of a frame that is read, in pixels


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video.

    Attributes:
        image: (H, W, 3) uint8, upright.
        time: Seconds from the first frame.
        index: Number among all frames of the video.
    """

    image: NDArray[np.uint8]
    time: float
    index: int


class FilmReader:
    """Frames of a video file at a given rate; a context manager.

    Frames whose longer side exceeds 1280 pixels are shrunk.

    Args:
        path: The file.
        fps: Frames per second that are given; all where the video has fewer.

    Attributes:
        seconds: Length as the file states it, None if it does not.
        fps: Frames per second that come at most.

    Raises:
        InputError: The file cannot be read as a video.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._av = load_av()
        self._path = path
        if not path.is_file():
            raise InputError(f"{path} does not exist; check the path")
        try:
            self._container = self._av.open(str(path))
        except (self._av.FFmpegError, ValueError) as error:
            raise InputError(f"{path} is not a video that can be read: {_reason(error)}") from error
        if not self._container.streams.video:
            kinds = " and ".join(sorted({stream.type for stream in self._container.streams})) or "nothing"
            self._container.close()
            raise InputError(f"{path} holds no pictures, only {kinds}")
        self._stream = self._container.streams.video[0]
        self._rate = float(self._stream.average_rate or fps)
        self.fps = min(fps, self._rate)
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
        start, due, time = None, 0, 0.0
        try:
            for index, frame in enumerate(self._container.decode(self._stream)):
                now = index / self._rate if frame.time is None else frame.time
                start = now if start is None else start
                time = now - start
                if time * self.fps < due - 1e-3:
                    continue
                due = int(time * self.fps + 1e-3) + 1
                yield Frame(_upright(frame), time, index)
        except (self._av.FFmpegError, ValueError) as error:
            raise InputError(f"{self._path} is broken after {time:.1f} s: {_reason(error)}") from error
        if start is None:
            raise InputError(f"{self._path} holds no frame")


class FilmWriter:
    """Writes an MP4 file that appears whole or not at all; a context manager.

    H.264 where this build of FFmpeg has an encoder for it, MPEG-4 otherwise.

    Args:
        path: The file, ending in .mp4.
        fps: Frames per second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._av = load_av()
        self._path, self._unfinished = path, path.with_name(path.name + ".unfinished")
        self._rate = Fraction(fps).limit_denominator(1001)
        self._container = self._av.open(
            str(self._unfinished), "w", format="mp4", options={"movflags": "faststart"}
        )
        self._stream: Any = None
        self._last = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is None and self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)
            self._container.close()
            os.replace(self._unfinished, self._path)
            return
        with suppress(self._av.FFmpegError):  # a file without a frame cannot be finished
            self._container.close()
        self._unfinished.unlink(missing_ok=True)

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
            "reading videos needs PyAV, which is not installed; install it with: pip install 'aucue[video]'"
        ) from error


def _upright(frame: Any) -> NDArray[np.uint8]:
    scale = min(1.0, _LARGEST / max(frame.width, frame.height))
    size = {"width": round(frame.width * scale), "height": round(frame.height * scale)} if scale < 1 else {}
    image = frame.to_ndarray(format="rgb24", **size)
    return np.ascontiguousarray(np.rot90(image, round(getattr(frame, "rotation", 0) / 90)))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
