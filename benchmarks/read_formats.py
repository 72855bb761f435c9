"""Every file format: how fast its records are read, and in how much memory, as the number of records grows.

    python benchmarks/read_formats.py [--rows 1000000] [--folder /tmp]

Writes a file of a tenth of the rows and one of all rows in each format, and reads it as bulk classification
does, batch by batch, in a process of its own. The files are deleted.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, measure_apart, table, write_section
from rows import CLASSES, WORDS, Peak

COLUMNS = ("id", "title", "description", "price", "category")
BATCH = 10_000


def record(i: int) -> tuple[str, ...]:
    """One product of about 150 characters."""
    words = [WORDS[(i * k + k) % len(WORDS)] for k in range(1, 17)]
    c = i % CLASSES
    path = f"Top {c % 10} > Middle {c % 100} > Leaf {c}"
    return str(i), " ".join(words[:6]), " ".join(words[6:]), f"{i % 9999}.{i % 90 + 10}", path


def write_text(path: Path, rows: int, before: str, row: Callable[[int], str], after: str) -> None:
    """A file of text: a beginning, rows and an end."""
    with path.open("w") as file:
        write_rows(file, rows, before, row, after)


def write_rows(file: IO[str], rows: int, before: str, row: Callable[[int], str], after: str) -> None:
    """Write rows of text between a beginning and an end."""
    file.write(before)
    file.writelines(map(row, range(rows)))
    file.write(after)


def write_csv(path: Path, rows: int) -> None:
    """A header, and quoted cells."""
    write_text(path, rows, ",".join(COLUMNS) + "\n", lambda i: '"' + '","'.join(record(i)) + '"\n', "")


def as_json(i: int) -> str:
    """A record as a JSON object."""
    return json.dumps(dict(zip(COLUMNS, record(i), strict=True)))


def write_jsonl(path: Path, rows: int) -> None:
    """An object a line."""
    write_text(path, rows, "", lambda i: as_json(i) + "\n", "")


def write_json(path: Path, rows: int) -> None:
    """An API's answer on one line."""
    write_text(path, rows, '{"total": 1, "data": {"products": [', lambda i: "," * (i > 0) + as_json(i), "]}}")


def write_xml(path: Path, rows: int) -> None:
    """A Google Merchant feed."""

    def item(i: int) -> str:
        cells = (f"<g:{name}>{value}</g:{name}>" for name, value in zip(COLUMNS, record(i), strict=True))
        return f"<item>{''.join(cells).replace(' > ', ' &gt; ')}</item>\n"

    start = '<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0"><channel>\n'
    write_text(path, rows, start, item, "</channel></rss>")


def html_row(cells: tuple[str, ...]) -> str:
    """A row of a table."""
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"


def write_html(path: Path, rows: int) -> None:
    """A page with a table, as many shops export under the name `.xls`."""
    write_text(path, rows, "<table>" + html_row(COLUMNS), lambda i: html_row(record(i)), "</table>")


def write_xlsx(path: Path, rows: int) -> None:
    """A workbook of one sheet with its texts in the cells."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    def row(i: int) -> str:
        cells = COLUMNS if i == 0 else record(i - 1)
        texts = (f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in cells)
        return f"<row>{''.join(texts)}</row>"

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types">'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/>'
            f'<Override PartName="/xl/s.xml" ContentType="{kinds}.worksheet+xml"/></Types>',
        )
        relation = '<Relationships xmlns="{}/relationships"><Relationship Id="r" Type="{}" Target="{}"/>'
        close = "</Relationships>"
        file.writestr(
            "_rels/.rels", relation.format(package, f"{office}/officeDocument", "xl/workbook.xml") + close
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels", relation.format(package, f"{office}/worksheet", "s.xml") + close
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="S" sheetId="1" r:id="r"/>'
            "</sheets></workbook>",
        )
        with file.open("xl/s.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'<worksheet xmlns="{main}"><sheetData>'.encode())
            for i in range(rows + 1):
                sheet.write(row(i).replace(" > ", " &gt; ").encode())
            sheet.write(b"</sheetData></worksheet>")


def write_ods(path: Path, rows: int) -> None:
    """An OpenDocument spreadsheet of one sheet."""
    names = " ".join(
        f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text")
    )

    def row(cells: tuple[str, ...]) -> bytes:
        text = (
            f'<table:table-cell office:value-type="string"><text:p>{x}</text:p></table:table-cell>'
            for x in cells
        )
        return f"<table:table-row>{''.join(text)}</table:table-row>".replace(" > ", " &gt; ").encode()

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr("META-INF/manifest.xml", "<manifest/>")
        with file.open("content.xml", "w", force_zip64=True) as content:
            body = "<office:body><office:spreadsheet><table:table table:name='S'>"
            content.write(f"<office:document-content {names}>{body}".encode() + row(COLUMNS))
            for i in range(rows):
                content.write(row(record(i)))
            content.write(b"</table:table></office:spreadsheet></office:body></office:document-content>")


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """The records as Arrow batches."""
    for start in range(0, rows, BATCH):
        columns = zip(*(record(i) for i in range(start, min(start + BATCH, rows))), strict=True)
        yield pa.record_batch([pa.array(column) for column in columns], names=list(COLUMNS))


def write_parquet(path: Path, rows: int) -> None:
    """A Parquet file."""
    with pq.ParquetWriter(path, pa.schema([(name, pa.string()) for name in COLUMNS])) as writer:
        for batch in batches(rows):
            writer.write_batch(batch)


def write_arrow(path: Path, rows: int) -> None:
    """A stream, as `datasets` saves it."""
    with pa.ipc.new_stream(str(path), pa.schema([(name, pa.string()) for name in COLUMNS])) as writer:
        for batch in batches(rows):
            writer.write_batch(batch)


def write_sqlite(path: Path, rows: int) -> None:
    """A table of a database."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE products ({', '.join(f'{name} TEXT' for name in COLUMNS)})")
        connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?)", map(record, range(rows)))
    connection.close()


FORMATS = {
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".json": write_json,
    ".xml": write_xml,
    ".html": write_html,
    ".xlsx": write_xlsx,
    ".ods": write_ods,
    ".parquet": write_parquet,
    ".arrow": write_arrow,
    ".db": write_sqlite,
}


def measure(source: str) -> dict[str, float]:
    """Read the records of a source in this process; memory is that above the imported package."""
    from aisle.data.chunks import ChunkReader
    from aisle.data.paths import expand_pattern

    before = Peak()
    time.sleep(0.2)
    base, peak, began = before.stop(), Peak(), time.process_time()
    rows = sum(chunk.rows for chunk in ChunkReader(expand_pattern(source)))
    seconds = time.process_time() - began
    return {"rows": rows, "seconds": seconds, "memory": peak.stop() - base}


def main() -> None:
    """Measure each format at both sizes, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--formats", nargs="*", default=list(FORMATS))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure)))
        return
    lines = []
    for ending in given.formats:
        cells = [ending]
        for rows in (given.rows // 10, given.rows):
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                path = Path(folder) / f"products{ending}"
                FORMATS[ending](path, rows)
                size = path.stat().st_size / 2**20
                source = f"sqlite:///{path}?table=products" if ending == ".db" else str(path)
                found = measure_apart(__file__, source, folder)
            assert found["rows"] == rows, found
            cells += [f"{size:,.0f} MiB", f"{rows / found['seconds']:,.0f}/s", f"{found['memory']:,.0f} MiB"]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    small, large = f"{given.rows // 10:,} rows", f"{given.rows:,} rows"
    names = ["format", small, "read", "peak memory", large, "read", "peak memory"]
    about = (
        f"`python benchmarks/read_formats.py --rows {given.rows}`: a source read in chunks, as "
        f"`aisle classify` does, each in a process of its own; {machine()}. Rates are of processor time, "
        "with the sample by which columns are found. Peak memory is anonymous memory above that of the "
        "imported package. A workbook's sheet is in memory while it is read; all other formats are streams."
    )
    write_section("read_formats", "\n".join(["## File formats", "", about, "", *table(names, lines)]))


if __name__ == "__main__":
    main()
