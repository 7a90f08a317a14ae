"""Masters in every row of the README's table, each with what a reader should find in it."""

from tests.storage.formats.making import Make, Row
from tests.storage.formats.pdf_masters import PDF_MASTERS
from tests.storage.formats.picture_masters import PICTURE_MASTERS
from tests.storage.formats.profile_masters import PROFILE_MASTERS
from tests.storage.formats.tiff_masters import TIFF_MASTERS

MASTERS: dict[Row, list[Make]] = {**TIFF_MASTERS, **PICTURE_MASTERS, **PDF_MASTERS, **PROFILE_MASTERS}
