"""Errors that a user can meet. Each is one sentence that says what happened and what to do about it."""


def printable(text: str) -> str:
    """`text` as one line that moves no cursor and changes no colour; what can't be shown is written out, as `\\x1b`."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class SmileError(Exception):
    """The base of this project's errors. `str(error)` may be shown to a user."""


class SettingsError(SmileError):
    """An option or environment variable has a value that can't be used."""


class CameraError(SmileError):
    """A picture source can't be opened or read."""


class PictureError(SmileError):
    """A picture or video file can't be read. The sentence does not name the file, because the table's row does."""


class OutputError(SmileError):
    """A table or an annotated copy can't be written."""


class UnwritableName(OutputError):
    """One copy can't be written because of its file's name or size. Other copies can."""


class DetectorError(SmileError):
    """A face detector can't be loaded."""


class ModelError(SmileError):
    """The network file is missing, damaged, or not a smile network."""


class DatasetError(SmileError):
    """Training images are missing or unusable."""


class WorkersError(SmileError):
    """Machines that should train together can't connect or differ, or one of them was lost."""
