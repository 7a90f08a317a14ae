"""The archive that all exports are made of is colorized once."""

from tests.flows.exports.exported_archive import colorized as colorized
from tests.flows.exports.exported_archive import colorized_folders as colorized_folders
