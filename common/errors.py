"""Every error of this project in one tree: one sentence saying what happened and what to do about it.

Each module that raises one imports it from here. Only what a library asks for derives from the library's own error.
"""


def printable(text: str) -> str:
    """`text` as one line that moves no cursor and changes no colour; what can't be shown is written out, as `\\x1b`."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class SmileError(Exception):
    """The base of this project's errors. `str(error)` may be shown to a user."""


# --- settings, files and pictures ---


class SettingsError(SmileError):
    """An option or environment variable has a value that can't be used."""


class CameraError(SmileError):
    """A picture source can't be opened or read."""


class PictureError(SmileError):
    """A picture or video file can't be read. The sentence does not name the file, because the table's row does."""


class PictureTooCostly(PictureError):
    """A picture that may be whole, but has more pixels or scans than are decoded."""


class PictureTooLarge(PictureTooCostly):
    """The picture has more pixels than are decoded."""


class OutputError(SmileError):
    """A file can't be written."""


class UnwritableName(OutputError):
    """One copy can't be written because of its file's name or size. Other copies can."""


class DetectorError(SmileError):
    """A face detector can't be loaded."""


class ModelError(SmileError):
    """The network file is missing, damaged, or not a smile network."""


# --- the page and the API ---


class ViewersFull(SmileError):
    """The viewer limit is reached."""


class TooManyRequests(SmileError):
    """A visitor asked for more than its share. `retry_after_s`: whole seconds until it may ask again."""

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class TooBusy(SmileError):
    """All places are taken; a moment later one may be free."""


class TooLarge(SmileError):
    """The picture has more pixels than are analysed."""


class PreviousError(SmileError):
    """What came as the answer before is not one."""

    def __init__(self) -> None:
        super().__init__("The field 'previous' must be the answer to the previous picture, or {} with the first.")


# --- jokes ---


class JokeUnavailable(SmileError):
    """The service gave no usable joke; the message says why. `retry_after_s`: how long it wants to be left in peace."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BoardError(SmileError):
    """The board can't be opened, read or written."""


class WrongReaction(SmileError):
    """What came is not a reaction."""


class UnknownJoke(SmileError):
    """This app has not told this joke, or so long ago that it has forgotten."""


class AlreadyCounted(SmileError):
    """As many reactions to this joke as it was told came already, or this one comes too late."""


class TooManyCounted(SmileError):
    """Too many reactions, of all visitors together, came within a minute."""


# --- several processes and several machines ---


class ProcessesError(SmileError):
    """Worker processes on this machine can't be started, or end as soon as they are."""


class ClusterError(SmileError):
    """Machines that should work together can't be reached, differ, or one was lost."""


# --- gathering pictures and training ---


class FetchError(SmileError):
    """One address gave nothing. `kind` is a key of `scraping.asking.problems.REASONS`.

    `wait_s`: the site asks for so many seconds of peace.
    """

    # What may have passed by the next time: tried again with growing pauses, and once more by the next run.
    PASSING = frozenset({"rate_limited", "server_error", "timeout", "connection", "truncated"})

    def __init__(self, kind: str, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.wait_s = wait_s

    @property
    def passing(self) -> bool:
        return self.kind in self.PASSING


class ScrapingStopped(SmileError):
    """To go on would be useless or impolite; what was gathered is kept, and the same command goes on from there."""


class DatasetError(SmileError):
    """Training images are missing or unusable."""


class BenchmarkError(SmileError):
    """What is to be measured can't be run, or does not do what is to be measured."""
