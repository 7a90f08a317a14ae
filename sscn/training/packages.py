"""Packages that photographs come in: Debian's, by way of apt, and the installed scikit-image."""

import importlib.util
import subprocess
from pathlib import Path

from sscn.errors import SscnError

SCIKIT_IMAGE = "scikit-image"
_PATIENCE = 900
"""Seconds after which a download has failed."""


class Packages:
    """Gives the unpacked folder of each package; fetches and unpacks it when first asked."""

    def __init__(self, work: Path, at_hand: Path | None = None) -> None:
        """
        Args:
            work: empty folder for downloads and unpacked files.
            at_hand: folder with .deb files already fetched; what it lacks is downloaded.
        """
        self.work = work
        self.at_hand = at_hand

    def folder(self, package: str) -> Path:
        """Folder whose tree is that of the package.

        Raises:
            SscnError: the package cannot be had.
        """
        if package == SCIKIT_IMAGE:
            return _scikit_image_data()
        unpacked = self.work / package
        if not unpacked.exists():
            archive = self._at_hand(package) or self._download(package)
            _run(package, ["dpkg-deb", "-x", str(archive), str(unpacked)])
        return unpacked

    def _at_hand(self, package: str) -> Path | None:
        found = sorted(self.at_hand.glob(f"{package}_*.deb")) if self.at_hand else []
        return found[-1] if found else None

    def _download(self, package: str) -> Path:
        folder = self.work / "archives" / package
        folder.mkdir(parents=True, exist_ok=True)
        _run(package, ["apt-get", "download", package], folder)
        found = sorted(folder.glob("*.deb"))
        if not found:
            raise SscnError(f"{package}: the package cannot be had (apt-get download brought nothing)")
        return found[0]


def _scikit_image_data() -> Path:
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise SscnError(f"{SCIKIT_IMAGE}: the package cannot be had (install it: pip install scikit-image)")
    return Path(found.origin).parent / "data"


def _run(package: str, command: list[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except FileNotFoundError as error:
        raise SscnError(f"{package}: the package cannot be had ({command[0]} is not installed here)") from error
    except subprocess.TimeoutExpired as error:
        raise SscnError(f"{package}: the package cannot be had ({command[0]} took too long)") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("E:")), lines[-1] if lines else "no reason given")
        raise SscnError(f"{package}: the package cannot be had ({command[0]}: {reason})")
