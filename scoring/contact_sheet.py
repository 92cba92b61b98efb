"""A page with small pictures of chosen photos: one HTML file that needs nothing else and loads nothing.

sheet = ContactSheet("smiles.html", ["holiday/"])
sheet.write(photos, title="The 20 best smiles")
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

import cv2

from common.errors import OutputError, PictureError, SettingsError
from common.whole_files import replacing, unwritable
from pictures.decoding import decode_small
from pictures.finding import suffix_of
from pictures.reading import read_bytes
from scoring.best_smiles import SmilingPhoto

MOST_PHOTOS = 500  # about ten megabytes
_BREAKS = re.compile(r"[/\\_-]")  # a path may be broken after these, rather than in the middle of a word
_SIDE = 240  # pixels
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 82]

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem auto; padding: 0 1rem; max-width: 84rem; background: Canvas; color: CanvasText; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
p { margin: 0 0 1rem; }
ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1rem; margin: 0; padding: 0; }
li { list-style: none; min-width: 0; }
img { display: block; width: 100%; height: 13rem; object-fit: contain; border-radius: .4rem;
  background: color-mix(in srgb, CanvasText 8%, Canvas); }
a { color: inherit; }
a:focus-visible img { outline: 3px solid LinkText; outline-offset: 2px; }
.name { display: block; margin-top: .35rem; overflow-wrap: anywhere; }
@media print { li { break-inside: avoid; } label { display: none; } }
"""
_SCRIPT = """
document.querySelector("select").addEventListener("change", (event) => {
  const list = document.querySelector("ol");
  const by = event.target.value;
  list.append(...[...list.children].sort((a, b) => a.dataset[by] - b.dataset[by]));
});
"""


class ContactSheet:
    """The page `path`, written in one step over an older one."""

    def __init__(self, path: str, read: Sequence[str]) -> None:
        """`read`: all that is read. Raises SettingsError or OutputError if the page can't be written there."""
        self._path = Path(path)
        if suffix_of(path) not in (".html", ".htm"):
            raise SettingsError(f"--report {path} is not the name of a page; give it one such as smiles.html.")
        if self._path.is_dir():
            raise OutputError(f"{path} is a folder; give --report a file such as {self._path / 'smiles.html'}.")
        if not self._path.parent.is_dir():
            raise OutputError(f"There is no folder {self._path.parent} for the page; make it, or choose another --report.")
        if self._path.exists() and any(os.path.samefile(path, given) for given in read):
            raise SettingsError(f"--report {path} would overwrite a file that is to be read; choose another name.")

    def write(self, photos: Sequence[SmilingPhoto], *, title: str, note: str = "") -> int:
        """Writes one picture for each of `photos`, which come best first. Returns how many could be read. Raises
        OutputError.
        """
        part = self._path.with_name(self._path.name + ".part")
        shown = 0
        try:
            with replacing(self._path, part) as part, part.open("w", encoding="utf-8") as page:
                page.write(_head(title, note))
                for number, photo in enumerate(photos):
                    item = self._item(photo, number)
                    shown += bool(item)
                    page.write(item)
                page.write(f"</ol>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n")
        except OSError as error:
            raise unwritable(self._path, error, "--report") from error
        return shown

    def _item(self, photo: SmilingPhoto, number: int) -> str:
        """The HTML for one photo; nothing if it can no longer be read."""
        try:
            image = decode_small(read_bytes(photo.file), _SIDE)
        except PictureError:
            return ""
        ok, jpeg = cv2.imencode(".jpg", image, _QUALITY)
        if not ok:
            return ""
        height, width = image.shape[:2]
        data = base64.b64encode(jpeg.tobytes()).decode()
        faces = "1 face" if photo.faces == 1 else f"{photo.faces} faces"
        smile = f"smile {100 * photo.lowest:.0f} %"
        # The name is shown without bytes that are not text; the link keeps every byte.
        name = _BREAKS.sub(r"\g<0><wbr>", html.escape(os.fsencode(photo.file).decode("utf-8", "replace")))
        link = html.escape(urllib.parse.quote(os.fsencode(self._link(photo.file))))
        return (
            f'<li data-best="{number}" data-place="{photo.place}"><a href="{link}">'
            f'<img src="data:image/jpeg;base64,{data}" width="{width}" height="{height}"'
            f' alt="{faces}, {smile}"><span class="name">{name}</span></a>{smile}, {faces}</li>\n'
        )

    def _link(self, file: str) -> str:
        try:
            link = os.path.relpath(os.path.abspath(file), self._path.resolve().parent)
        except ValueError:  # Windows: on another drive
            return Path(file).resolve().as_posix()
        # With a dot, so that `a:b.jpg` does not look like an address.
        return link.replace(os.sep, "/") if link.startswith("..") else "./" + link.replace(os.sep, "/")


def _head(title: str, note: str) -> str:
    script = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{script}'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{html.escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{html.escape(title)}</h1>\n<p>{html.escape(note)}</p>\n"
        f'<p><label>Order: <select><option value="best">best first</option><option value="place">as they were taken</option>'
        f"</select></label></p>\n<ol>\n"
    )
