"""Import contacts: lists as people have them, read and checked as a whole, then merged in batches."""

from tools.imports.report import Imported
from tools.imports.tool import import_contacts

__all__ = ["Imported", "import_contacts"]
