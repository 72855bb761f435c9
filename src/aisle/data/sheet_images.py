"""Reads the sheet of a workbook that lists more images of products, such as OpenCart's `AdditionalImages`."""

from pathlib import Path

from aisle.data.dialects.header import Header
from aisle.data.dialects.schema import ImageSheet
from aisle.data.files import TableFile
from aisle.data.readers.spreadsheet_reader import sheet_tables


def read_sheet_images(rules: ImageSheet, export: Path | None) -> dict[str, list[str]]:
    """The id of a product -> its further images, in their order.

    Args:
        rules: Names of the columns of the sheet.
        export: The workbook; nothing is found in another file.

    Raises:
        CatalogError: The workbook cannot be read.
    """
    found: dict[str, list[tuple[float, str]]] = {}
    if export is None or not export.is_file():
        return {}
    for batch in sheet_tables(TableFile(export)):
        header = Header(batch.schema.names)
        product, image = header.find(rules.product), header.find(rules.image)
        position = header.find(rules.position)
        if product is None or image is None or len(batch.schema.names) > len(rules.model_fields_set) + 1:
            continue  # another sheet: that of the products has these columns too
        for row in batch.to_pylist():
            if row[product] and row[image]:
                cell = row[position] if position else None
                found.setdefault(row[product].strip(), []).append((_number(cell), row[image].strip()))
    return {
        key: [name for _, name in sorted(images, key=lambda one: one[0])] for key, images in found.items()
    }


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
