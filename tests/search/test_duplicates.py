"""The same product listed twice: altered texts, altered images, and groups that do not chain."""

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance

import aisle
from aisle.data import ImageRef, Product
from aisle.errors import CatalogError, SearchError
from aisle.search.duplicates import DuplicatePair, find, grouped
from aisle.search.image_matches import similar_images
from aisle.search.texts import similar_texts, within_buckets
from tests.search.test_command import run, run_json
from tests.shared import DATA, needs_shared

TITLES = [
    "Raleigh Chopper mk2 bicycle restored infra red 1976",
    "Solid oak extending dining table seats eight",
    "Dewalt DCD796 cordless combi drill two batteries",
    "Le Creuset volcanic orange casserole 24cm",
    "Vintage Singer 201k treadle sewing machine",
    "Brompton folding bike six speed racing green",
]


def scene(seed, size=(240, 200)):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (7, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def saved(image, kind="JPEG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return ImageRef(data=out.getvalue())


def altered(image):
    w, h = image.size
    return {
        "cropped on one side": saved(image.crop((int(w * 0.12), 0, w, h))),
        "cropped all around": saved(image.crop((int(w * 0.06), int(h * 0.09), int(w * 0.95), int(h * 0.92)))),
        "re-encoded": saved(image, quality=30),
        "resized": saved(image.resize((90, 75))),
        "brightened": saved(ImageEnhance.Brightness(image).enhance(1.15)),
        "another format": saved(image, "PNG"),
    }


@pytest.mark.parametrize("how", altered(scene(0)))
def test_an_altered_picture_is_known_again_among_others(how):
    images = [saved(scene(seed)) for seed in range(8)]
    pairs, similarity = similar_images([*images, altered(scene(3))[how], None, ImageRef(data=b"broken")])
    assert pairs.tolist() == [[3, 8]]
    assert similarity[0] > 0.95


def test_blank_pictures_are_like_nothing():
    blank = [saved(Image.new("RGB", (50, 50), "white")) for _ in range(3)]
    assert not len(similar_images(blank)[0])
    assert not len(similar_images([])[0])


def framed(seed, bars=62):
    """A screenshot: black above and below, something bright between."""
    image = Image.new("RGB", (200, 200))
    image.paste(scene(seed, (200, 200 - 2 * bars)).point(lambda v: 150 + v // 3), (0, bars))
    return image


def on_a_table(seed):
    """A small thing of about one brightness on a dark ground that is the same in every photo."""
    image = Image.new("RGB", (200, 200), (25, 22, 20))
    thing = np.random.default_rng(seed).integers(150, 200, (24, 24, 1), dtype=np.uint8).repeat(3, 2)
    image.paste(Image.fromarray(thing).resize((110, 110), Image.Resampling.BILINEAR), (45, 45))
    return image


@pytest.mark.parametrize("made", [framed, on_a_table])
def test_a_frame_or_a_ground_that_pictures_share_does_not_make_them_one(made):
    images = [made(seed) for seed in range(6)]
    grey = [np.asarray(image.convert("L")).ravel() for image in images[:2]]
    assert np.corrcoef(*grey)[0, 1] > 0.95  # most of their brightness is the same
    pairs, _ = similar_images([*map(saved, images), saved(images[3], quality=40)])
    assert pairs.tolist() == [[3, 6]]


def test_one_picture_in_many_listings_is_one_group_and_a_shops_placeholder_none():
    same, other, placeholder = saved(scene(1)), saved(scene(2)), saved(scene(3))
    images = [same] * 12 + [other] + [placeholder] * 61 + [altered(scene(1))["cropped on one side"]]
    pairs, similarity = similar_images(images)
    (group,) = grouped(
        [DuplicatePair(int(a), int(b), None, float(s)) for (a, b), s in zip(pairs, similarity, strict=True)]
    )
    assert group.rows == (*range(12), 74)


@pytest.mark.parametrize(
    "title",
    [
        "RESTORED Raleigh Chopper mk2 bicycle 1976 infra red!!",
        "Raleigh Choper mk2 bicycle restored infra red",
        "bicycle Raleigh Chopper mk2 restored red infra 1976 collection only",
    ],
)
def test_an_edited_title_is_known_again_among_others(title):
    pairs, _ = similar_texts([*TITLES, title], [""] * 7)
    assert pairs.tolist() == [[0, 6]]


def test_boilerplate_and_short_texts_prove_nothing():
    shop = "Visit our showroom: all appliances tested, six months warranty, free delivery within ten miles."
    pairs, _ = similar_texts(TITLES, [shop] * 6)
    assert not len(pairs)
    many = [f"{a} {b}" for a in ("nice", "good", "new") for b in ("bag", "hat", "mug")] * 4
    assert not len(similar_texts(many, [""] * len(many))[0])
    assert not len(similar_texts([], [])[0])
    assert not len(similar_texts(["", ""], ["", ""])[0])


def test_every_pair_of_a_bucket_is_made_once():
    values = np.array([5, 3, 5, 5, 3, 9])
    assert sorted(within_buckets(values, 10).tolist()) == [[0, 2], [0, 3], [1, 4], [2, 3]]
    assert sorted(within_buckets(values, 2).tolist()) == [[0, 2], [1, 4], [2, 3]]  # five is a crowd


def test_groups_do_not_chain():
    chain = [DuplicatePair(i, i + 1, 0.9, None) for i in range(9)]
    assert max(len(group.rows) for group in grouped(chain)) <= 3
    whole = [DuplicatePair(a, b, 0.9, None) for a in range(4) for b in range(a + 1, 4)]
    (group,) = grouped([*whole, DuplicatePair(3, 4, 0.8, None)])
    assert group.rows == (0, 1, 2, 3)
    others = [DuplicatePair(a, b, 0.9, None) for a, b in ((5, 6), (5, 7), (6, 7))]
    assert len(grouped([*whole, *others, DuplicatePair(3, 5, 0.95, None)])) > 1


def shop():
    rows = [Product(str(i), {"title": t}, (saved(scene(i)),)) for i, t in enumerate(TITLES)]
    rows.append(Product("text", {"title": "extending dining table, solid oak, seats eight people"}, ()))
    rows.append(Product("image", {"title": "something else"}, (altered(scene(2))["cropped all around"],)))
    both = Product("both", {"title": TITLES[4].upper()}, (altered(scene(4))["re-encoded"],))
    return aisle.read([*rows, both])


def test_text_picture_either_and_both():
    catalog = shop()
    found = {by: {g.rows: g.reason for g in find(catalog, by)} for by in ("text", "image", "either", "both")}
    assert found["text"] == {(1, 6): "text", (4, 8): "text"}
    assert found["image"] == {(2, 7): "image", (4, 8): "image"}
    assert found["either"] == {(1, 6): "text", (2, 7): "image", (4, 8): "text, image"}
    assert found["both"] == {(4, 8): "text, image"}
    with pytest.raises(SearchError, match="either, text"):
        find(catalog, "magic")
    assert find(aisle.read([Product("1", {"title": "alone"})])) == []


def test_the_command_lists_groups_and_writes_them(tmp_path):
    table = tmp_path / "shop.csv"
    rows = [*TITLES, "Singer 201k treadle sewing machine, vintage"]
    table.write_text("id,title\n" + "".join(f'p{i},"{t}"\n' for i, t in enumerate(rows)))
    told = run("duplicates", table, "--quiet")
    assert "1 products are listed more than once, in 2 rows; 1 rows are redundant" in told
    listed = run_json("duplicates", table)["listed"]
    assert [row["id"] for row in listed] == ["p4", "p6"]
    for name in ("groups.csv", "groups.jsonl", "groups.parquet"):
        run("duplicates", table, "--out", tmp_path / name, "--quiet")
    with (tmp_path / "groups.csv").open(newline="") as lines:
        assert [row["row"] for row in csv.DictReader(lines)] == ["5", "7"]
    assert json.loads((tmp_path / "groups.jsonl").read_text().splitlines()[0])["group"] == 1
    assert pq.read_table(tmp_path / "groups.parquet").column("row").to_pylist() == [5, 7]
    with pytest.raises(CatalogError, match="rows are written as"):
        run("duplicates", table, "--out", tmp_path / "groups.txt", "--quiet")


@needs_shared
@pytest.mark.slow
def test_variants_of_one_product_are_found_among_real_ones():
    catalog = aisle.read(DATA / "luma" / "products.csv")
    family = [catalog.raw(i)["group_id"] for i in range(len(catalog))]
    n = range(len(catalog))
    truth = {(i, j) for i in n for j in n if i < j and family[i] == family[j]}
    found = {(a, b) for g in find(catalog, "text") for k, a in enumerate(g.rows) for b in g.rows[k + 1 :]}
    assert len(found & truth) / len(found) > 0.9
    assert len(found & truth) / len(truth) > 0.95
