"""What a site like Getty Images shows: results, their pictures, every layout that is known of it, and its API."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

LAYOUTS = ("microdata", "module", "gallery")


@dataclass(frozen=True)
class Card:
    """One result. `picture`: whose bytes are served, by number; equal numbers are exact copies."""

    id: str
    picture: int
    caption: str = "Portrait of a person"
    quality: int = 90  # of the JPEG: another quality of the same picture is a near copy


def pages_of(name: str, pages: int, size: int, *, first: int = 1000) -> list[list[Card]]:
    """Cards with ids and pictures `first`, `first + 1`, ..."""
    return [
        [Card(str(n), n, f"{name} {n}") for n in range(first + page * size, first + (page + 1) * size)]
        for page in range(pages)
    ]


@cache
def jpeg(number: int, quality: int = 90, size: tuple[int, int] = (306, 204)) -> bytes:
    """A picture of coloured clouds, another for each number."""
    rng = np.random.default_rng(number)
    clouds = rng.integers(0, 256, (9, 9, 3), np.uint8)
    image = cv2.resize(clouds, size, interpolation=cv2.INTER_CUBIC)
    cv2.circle(image, tuple(int(v) for v in rng.integers(40, 160, 2)), 30, (20, 40, 200), -1)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class GettyPages:
    """How results look in each layout and in the API, of a site and of pictures at these addresses."""

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def media_url(self) -> str:
        raise NotImplementedError

    def _url_of(self, card: Card) -> str:
        return f"{self.media_url}/id/{card.id}/photo/portrait.jpg?s=612x612&w=0&k=20&c=abc"

    def _pager(self, number: int, pages: int) -> str:
        return (
            f'<section class="PaginationRow-module__container___LxZJN"><input type="text" name="page" value="{number}"> of '
            f'<span class="PaginationRow-module__lastPage___k9Pq7">{pages}</span></section>'
        )

    def _microdata(self, card: Card) -> str:
        caption = html.escape(card.caption, quote=True)
        return (
            f'<div class="x9q" data-asset-id="{html.escape(card.id, quote=True)}" data-testid="galleryMosaicAsset">'
            f'<article itemScope itemType="https://schema.org/ImageObject"><meta itemProp="name" content="A title">'
            f'<meta itemProp="caption" content="{caption}">'
            f'<span itemProp="creator" itemScope><meta itemProp="name" content="Photographer {card.picture}"></span>'
            f'<meta itemProp="creditText" content="Getty Images"><meta itemProp="uploadDate" content="2021-03-04T05:06:07Z">'
            f'<link itemProp="contentUrl" href="{html.escape(self._url_of(card), quote=True)}">'
            f'<meta itemProp="thumbnailUrl" content="{self.media_url}/id/{card.id}/thumb.jpg">'
            f'<meta itemProp="acquireLicensePage" content="{self.url}/detail/photo/portrait/{card.id}">'
            f"<a href='/detail/photo/portrait/{card.id}'><img alt='{caption}'></a></article></div>"
        )

    def _module(self, card: Card) -> str:
        return (
            f'<div class="MosaicAsset-module__galleryMosaicAsset___3lc"><article><a class="MosaicAsset-module__link___15w" '
            f'href="/detail/photo/portrait-royalty-free-image/{card.id}"><figure><picture>'
            f'<img class="MosaicAsset-module__thumb___yvFP5" src="{self._url_of(card)}" '
            f'alt="{html.escape(card.caption, quote=True)}"></picture></figure></a></article></div>'
        )

    def _gallery(self, card: Card) -> str:
        return (
            f'<article class="gallery-mosaic-asset"><a class="gallery-mosaic-asset__link" href="/detail/photo/p/{card.id}">'
            f'<figure class="gallery-mosaic-asset__figure"><img class="gallery-asset__thumb gallery-mosaic-asset__thumb" '
            f'src="{self._url_of(card)}" alt="{html.escape(card.caption, quote=True)}"></figure></a></article>'
        )

    def _in_api(self, card: Card) -> dict[str, object]:
        return {
            "id": card.id,
            "caption": card.caption,
            "title": "A title",
            "artist": f"Photographer {card.picture}",
            "license_model": "royaltyfree",
            "collection_name": "Digital Vision",
            "display_sizes": [
                {"is_watermarked": False, "name": "thumb", "uri": f"{self.media_url}/id/{card.id}/thumb.jpg"},
                {"is_watermarked": True, "name": "comp", "uri": self._url_of(card)},
            ],
            "referral_destinations": [
                {"site_name": "gettyimages", "uri": f"{self.url}/detail/photo/portrait/{card.id}"},
            ],
        }
