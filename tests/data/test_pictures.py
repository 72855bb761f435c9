"""Any picture becomes RGB or a ImageError, whatever its file does to Pillow."""

import csv
import io
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aisle
from aisle.data import ImageRef
from aisle.data.images import ImageError, decode
from tests.shared import DATA, needs_shared


def encoded(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return ImageRef(data=out.getvalue())


def attempt(path, size):
    try:
        return decode(ImageRef(path), size)
    except ImageError as error:
        return str(error)


def pixel(ref, at=(0, 0)):
    return decode(ref).getpixel(at)


@needs_shared
def test_all_odd_and_broken_pictures_become_rgb_or_a_problem(capfd):
    folder = DATA / "bad_inputs"
    rows = list(csv.DictReader((folder / "images_manifest.csv").read_text().splitlines()))
    assert len(rows) == 420
    before, broken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, set()
    for row in rows:
        start = time.process_time()
        for size in (None, 64):
            outcome = attempt(folder / row["file"], size)
            if isinstance(outcome, str):
                assert "\n" not in outcome
                broken.add(row["file"])
            else:
                assert outcome.mode == "RGB"
        assert time.process_time() - start < 5
    unloadable = {row["file"] for row in rows if row["pillow_result"] != "ok"}
    assert len(unloadable) == 58
    assert broken == unloadable - {"images/pillow__psd-oob-write-overflow.psd"}  # broken in a later layer
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024  # KiB
    assert capfd.readouterr().err == ""  # libtiff kept quiet


@needs_shared
def test_threads_may_decode_at_once(capfd):
    paths = sorted((DATA / "bad_inputs" / "images").iterdir())

    def outcome(path):
        found = attempt(path, 32)
        return found if isinstance(found, str) else found.tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, paths)) == [outcome(path) for path in paths]
    assert capfd.readouterr().err == ""


def test_transparency_lies_on_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert pixel(encoded(clear)) == (255, 255, 255)
    half = Image.new("LA", (4, 4), (0, 128))
    assert pixel(encoded(half)) == pytest.approx((127, 127, 127), abs=1)
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30] + [0] * 765)
    assert pixel(encoded(palette)) == (10, 20, 30)
    assert pixel(encoded(palette, transparency=0)) == (255, 255, 255)


def test_sixteen_bits_keep_their_greys():
    ramp = Image.fromarray(np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8))
    values = np.asarray(decode(encoded(ramp)))[..., 0].ravel()
    assert (values[0], values[-1]) == (0, 255)
    assert (np.diff(values.astype(int)) >= 3).all()


def test_cmyk_is_converted_and_exif_turns_the_picture():
    assert pixel(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))[0] > 200
    left_dark = Image.new("L", (16, 8), 255)
    left_dark.paste(0, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    upright = decode(encoded(left_dark, "JPEG", exif=exif.tobytes()))
    assert upright.size == (8, 16)
    assert upright.getpixel((4, 2))[0] < 60 < 200 < upright.getpixel((4, 13))[0]


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert pixel(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_size_bounds_the_work_but_never_undercuts(kind):
    ref = encoded(Image.new("RGB", (1600, 1200), "green"), kind)
    small = decode(ref, 224)
    assert 224 <= min(small.size) < 600
    assert decode(encoded(Image.new("RGB", (100, 90)), kind), 224).size == (100, 90)


@pytest.mark.slow
def test_bombs_truncations_and_strangers_are_refused(tmp_path):
    bomb = encoded(Image.new("1", (20000, 20000)))
    assert len(bomb.data) < 100_000
    with pytest.raises(ImageError, match="too large"):
        decode(bomb)
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), "JPEG")
    with pytest.raises(ImageError, match="broken"):
        decode(ImageRef(data=whole.data[: len(whole.data) // 2]))
    with pytest.raises(ImageError, match="not an image"):
        decode(ImageRef(data=b"<svg/>"))
    with pytest.raises(ImageError, match="not an image"):
        decode(ImageRef(data=b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"))  # never run Ghostscript
    with pytest.raises(ImageError, match="empty"):
        decode(ImageRef(data=b""))
    with pytest.raises(ImageError, match="not there"):
        decode(ImageRef(tmp_path / "none.jpg"))
    with pytest.raises(ImageError, match="cannot be read"):
        decode(ImageRef(tmp_path))


ALONE = """
import resource, sys, time
from pathlib import Path
import aisle
from aisle.data import ImageRef
from aisle.data.images import ImageError, decode
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 700 * 2**20, resource.RLIM_INFINITY))  # bytes
for line in sys.stdin:
    start = time.process_time()
    try:
        outcome = decode(ImageRef(Path(line.strip()))).mode
    except ImageError as error:
        outcome = str(error)
    print(f"{time.process_time() - start:.2f}", outcome, sep="\\t")
"""


@pytest.mark.slow
@needs_shared
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits are set by what /proc says")
def test_no_picture_takes_more_than_its_share_of_memory_or_time():
    files = sorted((DATA / "bad_inputs" / "images").iterdir())
    assert len(files) == 420
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        input="\n".join(map(str, files)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-500:]
    found = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(found) == 420
    assert max(float(seconds) for seconds, _ in found) < 3
    assert sum(outcome != "RGB" for _, outcome in found) == 57
    assert not any("MemoryError" in outcome for _, outcome in found)


def test_a_mark_in_an_image_url_does_not_separate_images():
    url = "https://static.shop.example/media/68bfd4_54c9a~mv2.jpg"
    catalog = aisle.read([{"name": f"a pen {i}", "image": url} for i in range(5)])
    assert catalog.image_names(0) == [url]
    both = aisle.read([{"name": f"a pen {i}", "image": f"{url} ~ {url}?{i}"} for i in range(5)])
    assert both.image_names(2) == [url, f"{url}?2"]
