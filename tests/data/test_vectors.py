"""Vectors from files, matched by product id."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aisle
from aisle.errors import CatalogError

IDS = ["a", "b", "c", "d"]
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def npz(path):
    np.savez(path, ids=np.array(IDS), embeddings=VALUES)
    return path


def npy(path):
    np.save(path, VALUES)
    path.with_suffix(".ids.txt").write_text("\n".join(IDS))
    return path


def hdf5(path):
    h5py = pytest.importorskip("h5py", reason="the extra hdf5 is not installed")
    with h5py.File(path, "w") as file:
        group = file.create_group("resnet")
        group["ids"] = np.array([i.encode() for i in IDS])
        group["features"] = VALUES
    return path


def parquet(path):
    pq.write_table(pa.table({"product_id": IDS, "vector": VALUES.tolist()}), path)
    return path


MAKERS = {"npz": npz, "npy": npy, "h5": hdf5, "parquet": parquet}
ROWS = [
    {"id": i, "title": f"thing {i}", "category": "x" if i in "ab" else "y"} for i in ["d", "a", "missing"]
]


@pytest.mark.parametrize("kind", MAKERS)
def test_vectors_are_matched_by_id_whatever_the_order(kind, tmp_path):
    file = MAKERS[kind](tmp_path / f"vectors.{kind}")
    catalog = aisle.read(ROWS, vectors={"clip": file})
    np.testing.assert_array_equal(catalog[0].vectors["clip"], VALUES[3])
    np.testing.assert_array_equal([p.vectors.get("clip", np.zeros(3)) for p in catalog][1], VALUES[0])
    assert not catalog[2].vectors  # an absent view, not a dropped row
    np.testing.assert_array_equal(catalog.select([1])[0].vectors["clip"], VALUES[0])
    assert catalog.fingerprint != aisle.read(ROWS).fingerprint


def test_a_row_with_nothing_but_a_vector_has_something_to_go_by(tmp_path):
    rows = [{"id": "a", "title": ""}, {"id": "missing", "title": ""}]
    catalog = aisle.read(rows, vectors={"clip": npz(tmp_path / "v.npz")})
    assert catalog.fatal.tolist() == [False, True]


def test_training_on_a_vector_file_and_answering_without_it(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"p{i}" for i in range(60)]
    np.savez(
        tmp_path / "v.npz", ids=np.array(names), v=np.eye(3)[np.arange(60) % 3] + rng.normal(0, 0.1, (60, 3))
    )
    rows = [{"id": n, "title": "thing", "category": f"class {i % 3}"} for i, n in enumerate(names)]
    catalog = aisle.read(rows, vectors={"clip": tmp_path / "v.npz"})
    recipe = {
        "views": {
            "clip": {"encoder": {"type": "VectorEncoder"}},
            "title": {"encoder": {"type": "TfidfEncoder", "dim": 4}},
        },
        "fusion": {"type": "ConcatFusion", "dim": 16},
        "head": {"type": "TreeHead"},
        "stages": [{"epochs": 10, "batch_size": 16, "lr": 0.02}],
    }
    model = aisle.train(catalog, recipe, out=tmp_path / "run")
    right = [a.best == p.categories[0] for a, p in zip(model.predict(catalog), catalog, strict=True)]
    assert np.mean(right) > 0.9
    plain = aisle.load(tmp_path / "run").predict(aisle.read(rows))
    assert len(plain) == 60


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda p: p, "no such file of vectors"),
        (lambda p: np.savez(p, ids=np.array(IDS), v=VALUES[:3]), r"4 ids for vectors of shape \(3, 3\)"),
        (lambda p: np.savez(p, v=VALUES), "needs one list of ids"),
        (lambda p: p.write_bytes(b"PK broken"), "cannot be read"),
    ],
    ids=["missing", "uneven", "no ids", "broken"],
)
def test_what_holds_no_vectors_is_one_line(make, why, tmp_path):
    file = tmp_path / "v.npz"
    make(file)
    with pytest.raises(CatalogError, match=why):
        aisle.read(ROWS, vectors={"clip": file})


def test_other_faults_are_one_line(tmp_path):
    np.save(tmp_path / "v.npy", VALUES)
    with pytest.raises(CatalogError, match=r"Write their ids, one a line, to v.ids.txt"):
        aisle.read(ROWS, vectors={"clip": tmp_path / "v.npy"})
    with pytest.raises(CatalogError, match=r"vectors are read from .npz, .npy"):
        aisle.read(ROWS, vectors={"clip": tmp_path / "v.csv"})
    pq.write_table(pa.table({"id": IDS, "v": [[1.0], [2.0, 3.0], [1.0], [1.0]]}), tmp_path / "v.parquet")
    with pytest.raises(CatalogError, match="lists of different lengths"):
        aisle.read(ROWS, vectors={"clip": tmp_path / "v.parquet"})
    with pytest.raises(CatalogError, match="'title' is a column already"):
        aisle.read(ROWS, vectors={"title": npz(tmp_path / "v.npz")})
