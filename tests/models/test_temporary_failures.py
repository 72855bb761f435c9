"""An image that memory or file handles were short for is read again; a broken one is known to be broken."""

import errno
import io
import os
import resource

import pytest
from PIL import Image, ImageFile

import aisle
from aisle.data import ImageRef, Product
from aisle.data.images import ImageError, TemporaryImageError, decode
from aisle.models.features import FeatureStore
from aisle.models.preprocessing import ImagePreprocessor
from tests.evaluation.shop import picture
from tests.models.test_features import Setup
from tests.models.test_features import folders as _folders

folders = _folders  # a fixture of another module
FAILURES = {
    "memory": MemoryError(),
    "handles": OSError(errno.EMFILE, "Too many open files"),
    "all handles": OSError(errno.ENFILE, "Too many open files in system"),
    "disk": OSError(errno.EIO, "Input/output error"),
    "no memory": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "decoder": OSError("out of memory error when reading image file"),
    "stale": OSError(errno.ESTALE, "Stale file handle"),
}


def failing(monkeypatch, error):
    def load(self):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.parametrize("name", FAILURES)
def test_what_the_file_is_not_to_blame_for_is_told_apart(monkeypatch, name):
    ref = picture((9, 9, 9))
    with monkeypatch.context() as patch:
        failing(patch, FAILURES[name])
        with pytest.raises(TemporaryImageError, match="at the moment"):
            decode(ref)
    assert decode(ref).size[0] > 0


def test_the_files_own_faults_are_not_temporary(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (tmp_path / "folder").mkdir()
    for ref in (tmp_path / "broken.png", tmp_path / "folder", tmp_path / "none.png", tmp_path / ("x" * 999)):
        with pytest.raises(ImageError) as told:
            decode(ImageRef(ref))
        assert not isinstance(told.value, TemporaryImageError)


@pytest.mark.parametrize("name", ["memory", "handles"])
def test_no_feature_store_keeps_what_failed_for_the_moment(folders, tmp_path, monkeypatch, name):
    products = [Product(str(i), {"title": "red boots"}, (picture((50 * i, 9, 9)),)) for i in range(3)]
    with monkeypatch.context() as patch:
        failing(patch, FAILURES[name])
        inputs = Setup(folders, FeatureStore(tmp_path)).reader(products)
        assert not inputs.present[:, 1].any()
        assert sorted(inputs.problems) == [0, 1, 2]
    setup = Setup(folders, FeatureStore(tmp_path))
    again = setup.reader(products)
    assert again.present.all()
    assert not again.problems
    assert setup.counts["image"] == 3
    later = Setup(folders, FeatureStore(tmp_path))
    assert later.reader(products).present.all()
    assert later.counts["image"] == 0  # now it is kept


def test_a_broken_picture_is_kept_as_broken(folders, tmp_path):
    broken = Product("b", {"title": "x"}, (ImageRef(data=b"\x89PNG\r\n\x1a\nbroken"),))
    Setup(folders, FeatureStore(tmp_path)).reader([broken])
    setup = Setup(folders, FeatureStore(tmp_path))
    inputs = setup.reader([broken])
    assert not inputs.present[0, 1]
    assert setup.counts["image"] == 0


def test_without_a_free_handle_a_file_is_read_later(tmp_path):
    out = io.BytesIO()
    Image.new("RGB", (40, 40), (1, 2, 3)).save(out, "PNG")
    (tmp_path / "a.png").write_bytes(out.getvalue())
    catalog = aisle.read([{"title": "pen", "image": str(tmp_path / "a.png")}])
    reads = ImagePreprocessor(32)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
        while True:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        first = reads([catalog[0].images])
    finally:
        for handle in held:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "at the moment" in first.problems[0]
    assert reads([catalog[0].images]).present.all()
