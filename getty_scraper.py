"""Gather pictures and what is known about them from Getty Images, into folders that training reads.

python getty_scraper.py "smile" "no smile" --pages 100 --out images --source api --api-key-file key.txt
python getty_scraper.py "smile" "no smile" --pages 100 --out images --i-have-permission     # the public search pages
python getty_scraper.py "smile" --dry-run --i-have-permission                               # only say what would be fetched
python -m training.dataset images

The site's terms of use (https://www.gettyimages.com/company/terms) limit what programs may collect and what pictures may be
used for. So the search pages are read only with --i-have-permission, which says that you have permission in writing.

A picture becomes images/smile/ID.jpg or images/no_smile/ID.jpg, and a row of images/manifest.csv with its caption, creator,
credit and licence page. Stop a run at any moment, even with kill -9: the same command goes on, and fetches nothing twice.

Exit code: 0 all is well; 1 something is missing, and the last line says what; 2 the command can't be used; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from common.errors import SettingsError, SmileError
from common.native_output import native_output_dropped
from scraping.asking.assets import Query, Source, clean_url, folder_name
from scraping.asking.pace import Clock, Pace
from scraping.asking.politeness import PoliteClient
from scraping.duplicates import settle
from scraping.gathered_files import make_folder, remove_parts
from scraping.gathering import Extent, Gathering
from scraping.manifest import Manifest
from scraping.progress import GatheringProgress
from scraping.report import make_report
from scraping.sources.official_api import API, OfficialApi, read_key
from scraping.sources.search_pages import SITE, SearchPages

TERMS_OF_USE = "https://www.gettyimages.com/company/terms"
KEY_VARIABLE = "GETTY_API_KEY"
_SHORTEST_PAUSE_S = 0.5
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*|[0-9a-f:]*:[0-9a-f:]*", re.IGNORECASE)


@native_output_dropped()  # drops what libpng writes about a picture
def main(argv: list[str] | None = None, *, environ: Mapping[str, str] = os.environ, clock: Clock | None = None) -> int:
    """Gather what the command line names; the exit code is explained above. `clock`: time, for tests."""
    options = _parser().parse_args(argv)
    clock = clock or Clock()
    progress = GatheringProgress()
    try:
        _check(options)
        key = _find_key(options, environ) if options.source == "api" else ""
        folder = Path(options.out)
        if not options.dry_run:
            make_folder(folder)
        manifest = Manifest.open(folder, _settings(options), dry=options.dry_run)
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    client = _client(options, Pace(options.pause, options.workers, clock=clock, on_wait=progress.waiting))
    try:
        print(_notice(options), file=sys.stderr)
        gathering = Gathering(
            _source(options, client, key),
            client,
            manifest,
            folder,
            extent=Extent(options.pages, options.limit, options.workers),
            clock=clock,
            progress=progress,
            dry=options.dry_run,
        )
        return _run(options, gathering, manifest, folder, progress)
    except KeyboardInterrupt:
        clock.stop()
        progress.end()
        print(f"Stopped. What was fetched is in {folder}; the same command goes on from there.", file=sys.stderr)
        return 130
    finally:
        client.close()
        manifest.close()


def _run(
    options: argparse.Namespace, gathering: Gathering, manifest: Manifest, folder: Path, progress: GatheringProgress
) -> int:
    problems: list[str] = []
    try:
        if not options.dry_run:
            remove_parts(folder)
        manifest.forget_failures(all_kinds=options.retry_failed)
        gathering.run(options.terms)
    except SettingsError as error:
        progress.end()
        print(error, file=sys.stderr)
        return 2
    except SmileError as error:
        problems.append(str(error))
    progress.end()
    if options.dry_run:
        problems += _print([f"{term}\t{asset.id}\t{asset.url}" for term, asset in gathering.would_fetch])
        print(f"{len(gathering.would_fetch)} pictures would be fetched.", file=sys.stderr)
    else:
        try:
            settle(manifest, folder)
            manifest.export()
            report = make_report(manifest, folder)
            problems += _print(report.lines) + report.problems
        except SmileError as error:
            problems += [] if str(error) in problems else [str(error)]
    for problem in problems:
        print(f"Not everything went well: {problem.rstrip('.')}.", file=sys.stderr)
    return 1 if problems else 0


def _print(lines: list[str]) -> list[str]:
    """Prints to standard output; returns what went wrong. It is not a problem if `... | head` has seen enough."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):  # otherwise Python would try again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return [] if isinstance(error, BrokenPipeError) else [f"the report can't be written ({error.strerror})"]
    return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python getty_scraper.py",
        description=(__doc__ or "").partition("\n")[0],
        epilog=(__doc__ or "").partition("\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("terms", nargs="+", metavar="TERM", help='what to search for; each becomes a folder: "no smile" -> no_smile')
    add("--pages", type=int, default=1, metavar="N", help="pages of results for each term (default: 1)")
    add("--limit", type=int, metavar="N", help="most pictures for each term")
    add("--out", default="images", metavar="DIR", help="folder for pictures and table (default: images)")
    add("--dry-run", action="store_true", help="read the pages of results and say what would be fetched; write nothing")
    add("--source", choices=("pages", "api"), default="pages", help="public search pages, or the API (default: pages)")
    add(
        "--i-have-permission",
        action="store_true",
        help=f"confirm that you may collect from the pages; see {TERMS_OF_USE}",
    )
    add("--api-key-file", type=Path, metavar="FILE", help=f"key for the API (or the variable {KEY_VARIABLE})")
    add(
        "--people",
        choices=("none", "one", "two", "group", "any"),
        default="one",
        help="people in a picture (default: one)",
    )
    add("--sort", choices=("best", "newest", "mostpopular"), default="best", help="order of the results (default: best)")
    add("--family", choices=("creative", "editorial"), default="creative", help="kind of pictures (default: creative)")
    add("--retry-failed", action="store_true", help="retry all failures, not only those that may be over by now")
    add("--workers", type=int, default=2, metavar="N", help="pictures to fetch at once (default: 2)")
    add("--pause", type=float, default=2.0, metavar="S", help="least seconds between two requests (default: 2)")
    add(
        "--retry-pause",
        type=float,
        default=5.0,
        metavar="S",
        help="seconds before the second try; doubled each time (default: 5)",
    )
    add("--timeout", type=float, default=20.0, metavar="S", help="seconds to wait for an answer (default: 20)")
    add("--site", default=SITE, metavar="URL", help=f"site with the search pages (default: {SITE})")
    add("--api", default=API, metavar="URL", help=f"address of the API (default: {API})")
    add("--allow-host", action="append", default=[], metavar="HOST", help="another host that pictures may come from")
    return parser


def _check(options: argparse.Namespace) -> None:
    if options.source == "pages" and not options.i_have_permission:
        raise SettingsError(
            f"The site's terms of use ({TERMS_OF_USE}) limit what programs may collect; if you have permission, in writing, "
            f"add --i-have-permission, or use the official API with a key (--source api)."
        )
    names = [folder_name(term) for term in options.terms]
    if len(set(names)) < len(names):
        raise SettingsError(f"Two of the terms share a folder ({', '.join(names)}); give each its own words.")
    for name, most in (("pages", 1000), ("limit", 10**6), ("workers", 8)):
        value = getattr(options, name)
        if value is not None and not 1 <= value <= most:
            raise SettingsError(f"--{name} must be from 1 to {most}, not {value}.")
    base = _base(options)
    url = clean_url(base)
    if url is None or urlsplit(url).query:
        raise SettingsError(f"{base} is not the address of a site; give one such as {SITE}.")
    for host in options.allow_host:
        if not _HOST.fullmatch(host):
            raise SettingsError(f"--allow-host must be a host's bare name such as media.gettyimages.com, not {host!r}.")
    here = _is_this_computer(urlsplit(url).hostname or "")
    if options.source == "api" and not here and urlsplit(url).scheme != "https":
        raise SettingsError(f"{base} would send your API key unprotected; give an address that begins with https.")
    shortest = 0.0 if here else _SHORTEST_PAUSE_S
    for name, low in (("pause", shortest), ("retry_pause", shortest), ("timeout", 0.1)):
        if not low <= getattr(options, name) <= 3600:
            raise SettingsError(f"--{name.replace('_', '-')} must be from {low:g} to 3600 seconds.")


def _find_key(options: argparse.Namespace, environ: Mapping[str, str]) -> str:
    if options.api_key_file is not None:
        try:
            with options.api_key_file.open(encoding="utf-8", errors="replace") as file:
                return read_key(file.read(10_000), str(options.api_key_file))
        except OSError as error:
            raise SettingsError(f"{options.api_key_file} can't be read ({error.strerror}); check --api-key-file.") from error
    if KEY_VARIABLE in environ:
        return read_key(environ[KEY_VARIABLE], KEY_VARIABLE)
    raise SettingsError(
        f"The API needs a key from Getty Images; put it into a file for --api-key-file, or into {KEY_VARIABLE}."
    )


def _base(options: argparse.Namespace) -> str:
    return options.api if options.source == "api" else options.site


def _settings(options: argparse.Namespace) -> dict[str, str]:
    """The settings that tell one kind of search from another. A table holds one kind."""
    site = _base(options).rstrip("/")
    return {"source": options.source, "site": site, "people": options.people, "sort": options.sort, "family": options.family}


def _client(options: argparse.Namespace, pace: Pace) -> PoliteClient:
    return PoliteClient(
        _base(options),
        pace,
        allow_hosts=tuple(options.allow_host),
        timeout_s=options.timeout,
        retry_pause_s=options.retry_pause,
        connections=options.workers,
    )


def _source(options: argparse.Namespace, client: PoliteClient, key: str) -> Source:
    query = Query(people=options.people, sort=options.sort, family=options.family)
    if options.source == "api":
        return OfficialApi(client, query, key, options.api)
    return SearchPages(client, query, options.site)


def _notice(options: argparse.Namespace) -> str:
    said = "your agreement with Getty Images" if options.source == "api" else "the permission that you say you have"
    return f"What these pictures may be used for: {said}, {TERMS_OF_USE}, and each picture's licence page."


def _is_this_computer(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
