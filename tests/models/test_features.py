"""Design rule 3: frozen encoders run once; what changes, and that alone, is computed anew."""

import multiprocessing
from collections import Counter

import numpy as np
import pytest

from aisle.data import ImageRef, Product
from aisle.data import read as read_catalog
from aisle.inference.input_pipeline import InputPipeline
from aisle.models.encoders import TransformerImageEncoder, TransformerTextEncoder
from aisle.models.features import Features, FeatureStore, content_key
from aisle.models.fusions import ConcatFusion
from aisle.models.heads import TreeHead
from aisle.models.model import Model
from aisle.models.preprocessing import ImagePreprocessor, TokenPreprocessor
from aisle.models.views import View
from tests.evaluation.shop import picture
from tests.models.build import context
from tests.models.pretrained import tiny_text, tiny_vision

TITLES = [f"{colour} {thing}" for colour in ("red", "blue", "green") for thing in ("boots", "lamp", "chair")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("pretrained")
    return (
        tiny_text(home / "text", TITLES),
        tiny_vision(home / "vision", 32),
        tiny_text(home / "b", TITLES, seed=1),
    )


def products(titles=TITLES):
    return [
        Product(str(i), {"title": title}, (picture((20 * i, 9, 9)),) if i % 2 else ())
        for i, title in enumerate(titles)
    ]


class Setup:
    """A reader over two frozen encoders, counting the rows each of them encodes."""

    def __init__(self, folders, store, length=16, size=32, text=0):
        self.counts = Counter()
        preprocessors = {
            "title": TokenPreprocessor(str(folders[text]), max_length=length),
            "image": ImagePreprocessor(size),
        }
        encoders = {
            "title": TransformerTextEncoder(preprocessors["title"], str(folders[text])),
            "image": TransformerImageEncoder(preprocessors["image"], str(folders[1])),
        }
        dims = {name: encoder.dim for name, encoder in encoders.items()}
        self.model = Model(encoders, ConcatFusion(dims, 8), TreeHead(context(), 8)).eval()
        self.model.freeze({"title", "image"})
        for name, encoder in self.model.encoders.items():
            encoder.register_forward_hook(self.counted(name))
        views = {"title": View("title", "text", ("title",)), "image": View("image", "image")}
        self.reader = InputPipeline(self.model, views, preprocessors, store)

    def counted(self, name):
        def hook(module, args, output):
            self.counts[name] += len(output.pooled)

        return hook

    def run(self, items):
        self.counts.clear()
        found = self.reader(items)
        scores = self.model(found.arrays, found.present).scores.all().detach().numpy()
        return dict(self.counts), scores


def test_a_second_run_computes_nothing(folders, tmp_path):
    store = FeatureStore(tmp_path)
    assert Setup(folders, store).run(products())[0] == {"title": 9, "image": 4}
    assert Setup(folders, FeatureStore(tmp_path)).run(products())[0] == {}
    assert Setup(folders, None).run(products())[0]["title"] == 9


def test_kept_and_computed_outputs_are_the_same(folders, tmp_path):
    kept, fresh = Setup(folders, FeatureStore(tmp_path)), Setup(folders, None)
    fresh.model.load_state_dict(kept.model.state_dict())
    np.testing.assert_allclose(kept.run(products())[1], fresh.run(products())[1], atol=1e-4)


def test_one_letter_of_one_product_recomputes_exactly_that_one(folders, tmp_path):
    Setup(folders, FeatureStore(tmp_path)).run(products())
    changed = [*TITLES[:3], TITLES[3][:-1] + "z", *TITLES[4:]]
    assert Setup(folders, FeatureStore(tmp_path)).run(products(changed))[0] == {"title": 1}
    swapped = products()
    swapped[1] = Product("1", swapped[1].fields, (picture((1, 2, 3)),))
    assert Setup(folders, FeatureStore(tmp_path)).run(swapped)[0] == {"image": 1}


def test_order_and_repetition_recompute_nothing(folders, tmp_path):
    Setup(folders, FeatureStore(tmp_path)).run(products())
    assert Setup(folders, FeatureStore(tmp_path)).run(products()[::-1] + products())[0] == {}
    assert Setup(folders, FeatureStore(tmp_path / "new")).run(products() * 3)[0] == {"title": 9, "image": 4}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"length": 8}, {"title": 9}), ({"size": 48}, {"image": 4}), ({"text": 2}, {"title": 9})],
    ids=["length", "size", "weights"],
)
def test_preprocessing_and_weights_recompute_all_they_touch(folders, tmp_path, changes, expected):
    Setup(folders, FeatureStore(tmp_path)).run(products())
    assert Setup(folders, FeatureStore(tmp_path), **changes).run(products())[0] == expected
    assert Setup(folders, FeatureStore(tmp_path)).run(products())[0] == {}


def test_a_truncated_shard_is_computed_anew(folders, tmp_path):
    Setup(folders, FeatureStore(tmp_path)).run(products())
    shards = sorted(tmp_path.rglob("*.safetensors"))
    assert len(shards) == 2
    for shard in shards:
        shard.write_bytes(shard.read_bytes()[:-7])
    assert Setup(folders, FeatureStore(tmp_path)).run(products())[0] == {"title": 9, "image": 4}
    assert Setup(folders, FeatureStore(tmp_path)).run(products())[0] == {}


def test_an_unreadable_picture_stays_a_problem_and_is_not_read_again(folders, tmp_path):
    items = [Product("1", {"title": "red"}, (ImageRef(data=b"no picture"),))]
    for counted in (1, 0):
        setup = Setup(folders, FeatureStore(tmp_path))
        setup.counts.clear()
        found = setup.reader(items)
        assert found.present.tolist() == [[True, False]]
        assert "image" in found.problems[0][0]
        assert setup.counts["image"] == counted


def test_a_picture_that_appears_later_is_read(folders, tmp_path):
    file = tmp_path / "late.png"
    items = [Product("1", {"title": "red"}, (ImageRef(file),))]
    store = FeatureStore(tmp_path / "store")
    assert not Setup(folders, store).reader(items).present[0, 1]
    file.write_bytes(picture().data)
    assert Setup(folders, store).reader(items).present[0, 1]


def write(folder, start):
    keys = [content_key(str(i)) for i in range(start, start + 40)]
    for i in range(0, 40, 4):
        FeatureStore(folder).get(
            "space", keys[i : i + 4], lambda at: Features(np.float32(start + np.array(at))[:, None])
        )


def test_two_writers_at_once_leave_every_row_readable(tmp_path):
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=write, args=(tmp_path, start)) for start in (0, 20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0

    def never(positions):
        raise AssertionError("computed again")

    keys = [content_key(str(i)) for i in range(60)]
    assert FeatureStore(tmp_path).get("space", keys, never).pooled.shape == (60, 1)
    assert not list(tmp_path.rglob("*.part"))


def test_what_was_computed_before_an_interruption_is_kept(tmp_path):
    keys = [content_key(str(i)) for i in range(10)]
    done = []

    def compute(positions):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(positions)
        return Features(np.array(positions, dtype=np.float32)[:, None])

    with pytest.raises(KeyboardInterrupt):
        FeatureStore(tmp_path).get("space", keys, compute, chunk=3)
    asked = []

    def rest(positions):
        asked.extend(positions)
        return Features(np.array(positions, dtype=np.float32)[:, None])

    rows = FeatureStore(tmp_path).get("space", keys, rest, chunk=3).pooled
    assert asked == [6, 7, 8, 9]
    assert rows[:, 0].tolist() == list(range(10))


def test_the_catalogues_pictures_are_keyed_by_their_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture().data)
    catalog = read_catalog([{"title": "x", "image": str(tmp_path / n)} for n in ("a.png", "b.png")])
    first, second = (content_key(p.images) for p in catalog)
    assert first == second
    assert first != content_key((ImageRef(tmp_path / "a.png"),) * 2)
