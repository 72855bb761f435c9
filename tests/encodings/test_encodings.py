# ruff: noqa: E501 - phrases, some of wide scripts
"""Which encoding text without a mark is in: scripts, languages, headers alone, few rows and many."""

import pytest

from aisle.data import read

WORDS = {
    ("cp1254", "tr"): "Kırmızı elbise|Çelik tencere|Güneş gözlüğü|Ahşap oyuncak|Işıklı ayna|Şarj aleti|Bulaşık fırçası",
    ("cp1252", "is"): "Rauður kjóll|Stálpottur með loki|Sólgleraugu|Tréleikföng|Þvottaefni|Ísskápur|Ryðfrír hnífur",
    ("cp1252", "de"): "Grüner Rock|Küchenmesser|Größe 38|Fußball|Wäschekorb|Bücherregal|Spülbürste",
    ("cp1252", "fr"): "Robe d'été|Casserole émaillée|Sac à dos|Jouet en bois hêtre|Crème brûlée|Théière|Lunettes légères",
    ("cp1252", "sv"): "Röd klänning|Kökskniv|Solglasögon|Träleksak|Skötväska|Tvättmedel|Blå gräsklippare",
    ("cp1252", "pt"): "Vestido de verão|Panela de pressão|Óculos|Brinquedo educação|Sabão|Maçã|Câmera fotográfica",
    ("cp1250", "pl"): "Czerwona sukienka łódzka|Nóż kuchenny|Żółte kółko|Miś pluszowy|Ręcznik kąpielowy|Łóżko dziecięce",
    ("cp1250", "cs"): "Červené šaty|Kuchyňský nůž|Sluneční brýle|Dřevěná hračka|Ručník|Dětská postýlka|Žlutý míč",
    ("cp1250", "hu"): "Piros női ruha|Konyhakés|Napszemüveg|Fajáték gyerekeknek|Törölköző|Kiságy|Hűtőtáska|Őszi cipő",
    ("cp1257", "lt"): "Raudona suknelė|Virtuvinis peilis|Saulės akiniai|Medinis žaislas|Rankšluostis|Vaikiška lovytė|Šaldytuvas",
    ("cp1251", "ru"): "Красное платье|Кухонный нож|Солнечные очки|Деревянная игрушка|Полотенце|Детская кроватка|ТУФЛИ",
    ("koi8_r", "ru"): "Красное платье|Кухонный нож|Солнечные очки|Деревянная игрушка|Полотенце|Детская кроватка|Туфли",
    ("cp1251", "uk"): "Червона сукня|Кухонний ніж|Сонячні окуляри|Дерев'яна іграшка|Рушник|Дитяче ліжечко|Їжа",
    ("cp1253", "el"): "Κόκκινο φόρεμα|Μαχαίρι κουζίνας|Γυαλιά ηλίου|Ξύλινο παιχνίδι|Πετσέτα|Παιδικό κρεβάτι|Ψωμί",
    ("cp1255", "he"): "שמלה אדומה|סכין מטבח|משקפי שמש|צעצוע עץ|מגבת רחצה|מיטת תינוק|כדור",
    ("cp1256", "ar"): "فستان أحمر|سكين مطبخ|نظارات شمسية|لعبة خشبية|منشفة حمام|سرير أطفال|كرة قدم",
    ("cp874", "th"): "ชุดเดรสสีแดง|มีดทำครัว|แว่นกันแดด|ของเล่นไม้|ผ้าเช็ดตัว|เตียงเด็ก|ลูกบอล",
    ("cp932", "ja"): "赤いワンピース|台所用包丁|サングラス|木のおもちゃ|バスタオル|ベビーベッド|ｻｯｶｰボール用品",
    ("euc_jp", "ja"): "赤いワンピース|台所用包丁|サングラス|木のおもちゃ|バスタオル|ベビーベッド|サッカーボール",
    ("gb18030", "zh"): "红色连衣裙|厨房菜刀|太阳眼镜|木制玩具|浴巾|婴儿床|足球鞋子",
    ("big5", "zh"): "紅色洋裝|廚房菜刀|太陽眼鏡|木製玩具|浴巾|嬰兒床|足球鞋子",
    ("euc_kr", "ko"): "빨간 원피스|주방 식칼|선글라스|나무 장난감|목욕 수건|아기 침대|축구공",
}  # fmt: skip


@pytest.mark.parametrize("rows", [2, 7, 300])
@pytest.mark.parametrize(("encoding", "language"), WORDS)
def test_text_is_read_as_it_was_written(tmp_path, encoding, language, rows):
    words = WORDS[encoding, language].split("|")
    titles = [words[i % len(words)] + (f" {i}" if i >= len(words) else "") for i in range(rows)]
    path = tmp_path / "x.csv"
    path.write_bytes(("id,title\n" + "".join(f"{i},{t}\n" for i, t in enumerate(titles))).encode(encoding))
    catalog = read(path)
    assert [p.fields["title"] for p in catalog] == titles
    assert [(p.row, p.message) for p in catalog.problems] == [(None, "not UTF-8; the encoding was guessed")]


HEADS = {
    "cp932": "商品番号,商品名,カテゴリ",
    "euc_jp": "商品番号,商品名,カテゴリ",
    "gb18030": "商品编号,标题,分类",
    "big5": "商品編號,標題,分類",
    "euc_kr": "상품번호,제목,분류",
    "cp1251": "Артикул,Название,Категория",
    "cp1253": "Κωδικός,Τίτλος,Κατηγορία",
    "cp1255": "מספר,כותרת,קטגוריה",
    "cp1254": "Ürün,Başlık,Kategori adı",
    "cp1252": "Artikelnummer,Größe,Kategorie für",
}


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("encoding", HEADS)
def test_a_header_alone_tells_the_encoding_of_english_titles(tmp_path, encoding, rows):
    path = tmp_path / "x.csv"
    path.write_bytes(
        (HEADS[encoding] + "\n" + "".join(f"{i},red pen {i},Office\n" for i in range(rows))).encode(encoding)
    )
    assert read(path).names == HEADS[encoding].split(",")


@pytest.mark.parametrize(
    "title",
    ["Levi’s jeans", "5 £ voucher", "T-shirt – blue", "“Best” mug", "Brand® pen", "20 °C kettle", "Café table", "½ inch",
     "Häagen-Dazs", "jalapeño sauce", "Sac à dos", "naïve art", "L’Oréal crème", "5 € mug"],
)  # fmt: skip
def test_one_western_word_in_an_english_file_is_no_other_script(tmp_path, title):
    titles = ["blue mug", title, "desk lamp", "wireless vacuum cleaner"]
    path = tmp_path / "x.csv"
    path.write_bytes(("id,title\n" + "".join(f"{i},{t}\n" for i, t in enumerate(titles))).encode("cp1252"))
    assert [p.fields["title"] for p in read(path)] == titles


def test_an_official_tree_is_read_in_its_encoding(tmp_path):
    (tmp_path / "tree.txt").write_bytes(
        "Mutfak\nMutfak > Çay bardağı\nMutfak > Fırın tepsisi\nGiyim\nGiyim > Şal\n".encode("cp1254")
    )
    (tmp_path / "x.csv").write_text("id,title,category\n1,a,Mutfak > Fırın tepsisi\n", "utf-8")
    catalog = read(tmp_path / "x.csv", taxonomy=tmp_path / "tree.txt")
    assert catalog[0].categories == (("Mutfak", "Fırın tepsisi"),)
    assert not catalog.problems
