"""Small files in the formats of public benchmark data sets, with their peculiarities."""

import csv
import json
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import aisle
from aisle.data import benchmark_datasets, kakao, rakuten
from aisle.data.check import check
from aisle.data.images import decode
from aisle.errors import CatalogError

h5py = pytest.importorskip("h5py", reason="the extra hdf5 is not installed")


class Predicted(NamedTuple):
    id: str
    best_id: str


# -- Kakao -------------------------------------------------------------------------------------

NAMES = {
    "b": {"패션의류": 1, "가전": 2},
    "m": {"티셔츠": 10, "TV": 11, "냉장고": 12},
    "s": {"반팔": 100, "긴팔": 101, "반팔 ": 102},
    "d": {"면": 1000},
}
PATHS = [(1, 10, 100, 1000), (1, 10, 101, -1), (2, 11, -1, -1), (2, 12, -1, -1), (1, 10, 102, -1)]


def chunk(path, group, count, first, labelled=True, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.array([PATHS[(first + i) % len(PATHS)] for i in range(count)])
    text = h5py.special_dtype(vlen=bytes)
    with h5py.File(path, "w") as file:
        home = file.create_group(group)

        def words(name, values):
            home.create_dataset(name, data=np.array([v.encode() for v in values], dtype=object), dtype=text)

        words("pid", [f"P{first + i:06}" for i in range(count)])
        words("product", [f"[무료배송] 상품 {ids[1]} {ids[2]} / store{i}" for i, ids in enumerate(labels)])
        words("brand", ["브랜드" if i % 2 else "" for i in range(count)])
        words("model", [f"model {i}" for i in range(count)])
        words("maker", ["기타"] * count)
        words("updttm", ["20180301123000"] * count)
        home["price"] = np.where(np.arange(count) % 3, 9900, -1)
        vectors = rng.normal(size=(count, 2048)).astype(np.float32)
        vectors[1] = 0
        home["img_feat"] = vectors
        for i, level in enumerate("bmsd"):
            home[f"{level}cateid"] = labels[:, i] if labelled else np.full(count, -1)
    return vectors


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kakao")
    (folder / "cate1.json").write_text(json.dumps(NAMES, ensure_ascii=False))
    given = [chunk(folder / f"train.chunk.0{k + 1}", "train", 30, 30 * k, seed=k) for k in range(2)]
    chunk(folder / "dev.chunk.01", "dev", 12, 100, labelled=False)
    return folder, np.concatenate(given)


def test_kakaos_chunks_are_one_catalog(shop):
    folder, vectors = shop
    catalog = kakao(folder)
    assert len(catalog) == 60
    first, second = catalog[0], catalog[1]
    assert first.id == "P000000"
    assert first.fields["title"] == "[무료배송] 상품 10 100 / store0"
    assert first.fields == {
        "title": "[무료배송] 상품 10 100 / store0", "model": "model 0", "maker": "기타",
    }  # a price of -1 is none, and so is an empty brand  # fmt: skip
    assert second.fields["price"] == "9900"
    assert second.fields["brand"] == "브랜드"
    np.testing.assert_array_equal(first.vectors["img_feat"], vectors[0])
    assert not second.vectors  # all zeros are no picture's
    np.testing.assert_array_equal(catalog[31 + 10].vectors["img_feat"], vectors[41])


def test_kakaos_missing_levels_end_the_path_and_ids_come_back(shop):
    catalog = kakao(shop[0])
    paths = [p.categories[0] for p in catalog[:5]]
    assert paths[0] == ("패션의류", "티셔츠", "반팔", "면")
    assert paths[1] == ("패션의류", "티셔츠", "긴팔")
    assert paths[2] == ("가전", "TV")
    assert paths[4] == ("패션의류", "티셔츠", "반팔 (102)")  # another id of the same name
    tree = catalog.taxonomy
    ids = [tree.nodes[node].id for node in catalog.targets().node[:5]]
    assert ids == [".".join(map(str, path)) for path in PATHS]
    assert tree.depth == 4


def test_the_label_summary_of_kakao_is_correct(shop):
    catalog = kakao(shop[0])
    mapping = dict(check(catalog).mapping)
    assert mapping["labels"] == "ids or names of categories"  # not "flat": the tree has four levels
    assert "delimiter" not in mapping
    assert check(kakao(shop[0], "dev")).levels == ()


def test_kakaos_dev_rows_have_no_labels_and_no_problems_because_of_it(shop):
    catalog = kakao(shop[0], "dev")
    assert len(catalog) == 12
    assert (catalog.targets().node == -1).all() if catalog.labelled else True
    assert not catalog.problems


def test_each_chunk_is_opened_once_and_vectors_are_read_by_slice(shop, monkeypatch):
    opened, sliced = [], []
    original, get = h5py.File, h5py.Dataset.__getitem__

    class Counting(original):
        def __init__(self, name, *rest, **more):
            opened.append(str(name))
            super().__init__(name, *rest, **more)

    def getitem(self, key, *rest, **more):
        if self.name.endswith("img_feat"):
            sliced.append(key)
        return get(self, key, *rest, **more)

    monkeypatch.setattr(h5py, "File", Counting)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", getitem)
    catalog = kakao(shop[0])
    assert len(list(catalog)) == 60
    assert sorted(opened) == sorted(str(shop[0] / f"train.chunk.0{k}") for k in (1, 2))
    assert sliced == [slice(0, 30), slice(0, 30)]


def test_kakaos_submission_maps_ids_back(shop, tmp_path):
    catalog = kakao(shop[0], "dev")
    answers = [Predicted(p.id, ".".join(map(str, PATHS[i % 5]))) for i, p in enumerate(catalog)]
    assert benchmark_datasets.write_submission("kakao", catalog, answers, tmp_path / "out.tsv") == 12
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    assert lines[0] == "P000100\t1\t10\t100\t1000"
    assert lines[2] == "P000102\t2\t11\t-1\t-1"
    assert len(lines) == 12
    for wrong, why in [
        (answers[:-1], "11 predictions for 12 rows"),
        ([*answers, answers[0]], "more predictions than the 12 rows"),
        ([*answers[:1], *answers], "is of product 'P000100', the row of 'P000101'"),
        ([Predicted(a.id, "Shoes") for a in answers], "category 'Shoes' is not one of this data set"),
    ]:
        with pytest.raises(CatalogError, match=why):
            benchmark_datasets.write_submission("kakao", catalog, wrong, tmp_path / "again.tsv")
    assert not list(tmp_path.glob("*again*"))


@pytest.mark.slow
def test_a_model_trained_on_kakao_answers_with_its_ids(shop, tmp_path):
    split = {"validation": 0.1, "calibration": 0.1, "threshold": 0.1}
    recipe = {
        "views": {
            "title": {"encoder": {"type": "TfidfEncoder", "dim": 16, "min_df": 1}},
            "img_feat": {"encoder": {"type": "VectorEncoder"}},
        },
        "fusion": {"type": "ConcatFusion", "dim": 16},
        "head": {"type": "LevelsHead", "weights": [1.0, 1.2, 1.3, 1.4]},
        "stages": [{"epochs": 5, "batch_size": 16, "lr": 0.02}],
        "split": split,
    }
    model = aisle.train(kakao(shop[0]), recipe)
    dev = kakao(shop[0], "dev")
    benchmark_datasets.write_submission("kakao", dev, model.predict(dev), tmp_path / "dev.tsv")
    known = set(PATHS)
    with (tmp_path / "dev.tsv").open() as lines:
        rows = [tuple(map(int, line.split("\t")[1:])) for line in lines]
    assert set(rows) <= known
    expected = [PATHS[(100 + i) % 5] for i in range(12)]
    assert np.mean([r == e for r, e in zip(rows, expected, strict=True)]) > 0.5


def test_a_malformed_kakao_folder_gives_a_one_line_error(tmp_path, shop):
    with pytest.raises(CatalogError, match=r"no train.chunk.01; name the folder"):
        kakao(tmp_path)
    with pytest.raises(CatalogError, match="kakao has no phase 'eval'; it has train, dev, test"):
        kakao(shop[0], "eval")
    (tmp_path / "train.chunk.01").write_bytes(b"not HDF5")
    with pytest.raises(CatalogError, match=r"train.chunk.01: not a chunk of this data set"):
        kakao(tmp_path)


# -- Rakuten -----------------------------------------------------------------------------------

ROWS = [
    ("Olivia: Personalisiertes Notizbuch", "", 3804725264, 1263597046, "10"),
    ("Journal des arts (le) n° 133", "<p>Num&eacute;ro <b>neuf</b></p>", 436067568, 1008141237, "2280"),
    ('Grand Stylet "Ergonomique" Bleu Gamepad', "PILOT STYLE Touch Pen", 201115110, 938777978, "50"),
    ("Journal des arts (le) n° 133", "<p>Num&eacute;ro <b>neuf</b></p>", 436067569, 1008141238, "10"),
]
TAXONOMY = [("10", "Books", "Adult books"), ("2280", "Books", "Newspapers"), ("50", "Gaming", "Accessories")]


def write(file, header, rows, delimiter):
    with file.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, delimiter=delimiter).writerows([header, *rows])


def write_images(folder, rows):
    folder.mkdir(parents=True)
    for _, _, image, product, _ in rows:
        Image.new("RGB", (8, 8), (image % 255, 0, 0)).save(folder / f"image_{image}_product_{product}.jpg")


def sigir(folder):
    ids = [(i, t, d, m, p) for i, (t, d, m, p, _) in enumerate(ROWS)]
    write(folder / "X_train.tsv", ["Integer_id", "Title", "Description", "Image_id", "Product_id"], ids, "\t")
    labels = [(i, m, p, c) for i, (_, _, m, p, c) in enumerate(ROWS)]
    write(folder / "Y_train.tsv", ["Integer_id", "Image_id", "Product_id", "Prdtypecode"], labels[::-1], "\t")
    for phase in (1, 2):
        header = ["Integer_id", "Title", "Description", "Image_id", "Product_id"]
        write(folder / f"x_test_task1_phase{phase}.tsv", header, ids[:2], "\t")
    header = ["Prdtypecode", "Top level category", "Lower level category"]
    write(folder / "catalog_english_taxonomy.tsv", header, TAXONOMY, "\t")
    write_images(folder / "image_training", ROWS)
    write_images(folder / "image_test", ROWS[:2])
    return folder


def challenge(folder):
    rows = [(i, t, d, p, m) for i, (t, d, m, p, _) in enumerate(ROWS)]
    write(
        folder / "X_train_update.csv", ["", "designation", "description", "productid", "imageid"], rows, ","
    )
    write(folder / "Y_train_CVw08PX.csv", ["", "prdtypecode"], [(i, r[4]) for i, r in enumerate(ROWS)], ",")
    test = [(84916 + i, *row[1:]) for i, row in enumerate(rows[:3])]
    write(folder / "X_test_update.csv", ["", "designation", "description", "productid", "imageid"], test, ",")
    write_images(folder / "images" / "image_train", ROWS)
    write_images(folder / "images" / "image_test", ROWS[:3])
    return folder


@pytest.mark.parametrize("make", [sigir, challenge])
def test_rakutens_two_distributions_say_the_same(make, tmp_path):
    catalog = rakuten(make(tmp_path))
    assert [p.fields["title"] for p in catalog] == [row[0] for row in ROWS]
    assert "description" not in catalog[0].fields
    assert catalog[1].fields["description"] == "Numéro neuf"
    tree = catalog.taxonomy
    assert [tree.nodes[n].id for n in catalog.targets().node] == [row[4] for row in ROWS]
    for product, row in zip(catalog, ROWS, strict=True):
        (image,) = product.images
        assert image.path.name == f"image_{row[2]}_product_{row[3]}.jpg"
        assert decode(image).size == (8, 8)
    if make is sigir:
        assert catalog[1].categories == (("Books", "Newspapers"),)
        assert tree.depth == 2
    else:
        assert catalog[1].categories == (("2280",),)
    assert not catalog.problems


def test_rakutens_test_phases_and_submissions(tmp_path):
    folder = sigir(tmp_path)
    catalog = rakuten(folder, "phase1")
    assert len(catalog) == 2
    assert catalog[0].images[0].path.parent.name == "image_test"
    out = tmp_path / "out.tsv"
    benchmark_datasets.write_submission(
        "rakuten", catalog, [Predicted("0", "2280"), Predicted("1", "10")], out
    )
    assert out.read_text() == (
        "Integer_id\tImage_id\tProduct_id\tPrdtypecode\n"
        "0\t3804725264\t1263597046\t2280\n"
        "1\t436067568\t1008141237\t10\n"
    )
    with pytest.raises(CatalogError, match=r"no X_test_update\.csv"):
        rakuten(folder, "test")


def test_the_challenge_sites_submission(tmp_path):
    catalog = rakuten(challenge(tmp_path), "test")
    answers = [Predicted(str(84916 + i), code) for i, code in enumerate(["10", "50", "2280"])]
    benchmark_datasets.write_submission("rakuten", catalog, answers, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == ",prdtypecode\n84916,10\n84917,50\n84918,2280\n"
    with pytest.raises(CatalogError, match="category 'top Books' is not one of this data set"):
        benchmark_datasets.write_submission(
            "rakuten", catalog, [Predicted("84916", "top Books")], tmp_path / "no.csv"
        )


def test_labels_of_other_products_are_refused(tmp_path):
    folder = challenge(tmp_path)
    write(folder / "Y_train_CVw08PX.csv", ["", "prdtypecode"], [(900 + i, "10") for i in range(4)], ",")
    with pytest.raises(CatalogError, match=r"not one of its ids is in X_train_update.csv"):
        rakuten(folder)
    (folder / "Y_train_CVw08PX.csv").unlink()
    with pytest.raises(CatalogError, match="no Y_train"):
        rakuten(folder)


def test_a_source_has_name_folder_and_phase(tmp_path, monkeypatch):
    assert benchmark_datasets.parse_benchmark("kakao:data/k:dev") == (
        "kakao",
        benchmark_datasets.Path("data/k"),
        "dev",
    )
    assert benchmark_datasets.parse_benchmark("rakuten:data") == (
        "rakuten",
        benchmark_datasets.Path("data"),
        "",
    )
    assert benchmark_datasets.parse_benchmark("products.csv") is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kakao:folder").mkdir()
    assert benchmark_datasets.parse_benchmark("kakao:folder") is None  # a path that exists is a path
    folder = sigir(tmp_path)
    assert (
        len(
            benchmark_datasets.open_benchmark(benchmark_datasets.BenchmarkSource("rakuten", folder, "phase2"))
        )
        == 2
    )
    with pytest.raises(CatalogError, match="rakuten has no phase 'dev'"):
        benchmark_datasets.open_benchmark(benchmark_datasets.BenchmarkSource("rakuten", folder, "dev"))
