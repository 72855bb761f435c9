import json

from aisle.data import read

PRODUCTS = [
    ("Acme Women's Shorts", "Clothing >> Women >> Shorts >> Acme Women's Shorts"),
    ("Fab Sofa Bed (Mahogany)", "Furniture >> Sofas >> Fab Sofa Bed (Maho..."),
    ("Dog Shampoo", "Pets >> Grooming >> Dog Shampoo (500 ml)"),
    ("Blue Shorts", "Clothing >> Women >> Shorts"),
]


def flipkart(tmp_path, products):
    header = "uniq_id,product_name,product_category_tree,pid,retail_price,image,description\n"
    rows = [
        f'{i},{name},"{json.dumps([path]).replace(chr(34), chr(34) * 2)}",P{i},9,,About {name}\n'
        for i, (name, path) in enumerate(products)
    ]
    file = tmp_path / "flipkart.csv"
    file.write_text(header + "".join(rows))
    return file


def test_a_last_level_that_repeats_the_title_is_left_out(tmp_path):
    more = [(f"Pan {i} of steel", f"Kitchen >> Pans >> Pan {i} of steel") for i in range(9)]
    catalog = read(flipkart(tmp_path, [*PRODUCTS, *more]))
    assert catalog[12].categories == (("Kitchen", "Pans"),)
    assert [product.categories for product in catalog[:4]] == [
        (("Clothing", "Women", "Shorts"),),
        (("Furniture", "Sofas"),),
        (("Pets", "Grooming"),),
        (("Clothing", "Women", "Shorts"),),
    ]
    assert any("the last level repeats the title" in problem.message for problem in catalog.problems)
    assert catalog.style.delimiter == ">>"


def test_a_leaf_that_is_a_title_by_chance_stays(tmp_path):
    products = [(f"Chair {i}", f"Home >> Chairs {i}") for i in range(19)]
    catalog = read(flipkart(tmp_path, [*products, ("Lamps", "Home >> Lamps")]))
    assert catalog[19].categories == (("Home", "Lamps"),)
    assert not any("repeats the title" in problem.message for problem in catalog.problems)
