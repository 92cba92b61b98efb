"""What the app's image is made of: every package by version and hash, and nothing that is not asked for."""

import re
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project import ROOT
from tools.lock import LEFT_OUT, LOCK


def locked() -> dict[Any, tuple[str, list[str]]]:
    """Version and hashes by name."""
    text = "\n".join(line for line in LOCK.read_text().splitlines() if not line.startswith("#")).replace("\\\n", " ")
    found = {}
    for line in filter(None, text.splitlines()):
        requirement, *hashes = line.split(" --hash=")
        parsed = Requirement(requirement.strip())
        (version,) = [one.version for one in parsed.specifier]
        found[canonicalize_name(parsed.name)] = version, [one.strip() for one in hashes]
    return found


def test_every_package_is_held_to_its_hashes():
    packages = locked()
    assert len(packages) > 20
    for name, (_, hashes) in packages.items():
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), name
    assert "://" not in LOCK.read_text()
    assert not packages.keys() & set(LEFT_OUT)


def test_the_lock_holds_what_is_asked_for():
    packages = locked()
    for file in ("app.txt", "postgresql.txt"):
        for line in (ROOT / "requirements" / file).read_text().splitlines():
            if not line or line.startswith(("#", "./")):
                continue
            asked = Requirement(line)
            name = canonicalize_name(asked.name)
            if name not in LEFT_OUT:
                assert asked.specifier.contains(packages[name][0]), f"{line}: run python -m tools.lock"


def test_what_comes_along_is_what_the_tests_were_run_with():
    from importlib.metadata import PackageNotFoundError, version

    for name, (held, _) in locked().items():
        try:
            assert version(name) == held, f"{name}: run python -m tools.lock"
        except PackageNotFoundError:
            continue  # another system's, or PostgreSQL's


def test_the_image_installs_by_hash_and_nothing_in_compose_keeps_roots_rights():
    import pytest

    yaml = pytest.importorskip("yaml")
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"pip install .*", dockerfile) == re.findall(r"pip install .*--require-hashes .*app\.lock", dockerfile)
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
    assert "SystemCallFilter=@system-service" in (ROOT / "deploy" / "dad-jokes.service").read_text()
