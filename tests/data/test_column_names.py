"""Headers of shop platforms in their languages: which column is read as what."""

import csv
import unicodedata

import pytest

from aisle.data import read

# Product exports of WooCommerce: id, title, description, category, images, group; the weight; other columns.
WOOCOMMERCE = {
    "en": ("ID,Name,Description,Categories,Images,Parent", "Weight (kg)", "Type,SKU,Short description,Tags"),
    "de": (
        "ID,Name,Beschreibung,Kategorien,Bilder,Übergeordnet",
        "Gewicht (kg)",
        "Typ,Artikelnummer,Kurzbeschreibung,Schlagwörter,Versandklasse",
    ),
    "fr": (
        "ID,Nom,Description,Catégories,Images,Parent",
        "Poids (kg)",
        "Type,UGS,Description courte,Étiquettes,Classe d’expédition",
    ),
    "es": (
        "ID,Nombre,Descripción,Categorías,Imágenes,Superior",
        "Peso (kg)",
        "Tipo,SKU,Descripción corta,Etiquetas,Clase de envío",
    ),
    "it": (
        "ID,Nome,Descrizione,Categorie,Immagini,Genitore",
        "Peso (kg)",
        "Tipo,COD,Breve descrizione,Tag,Classe di spedizione",
    ),
    "pt": (
        "ID,Nome,Descrição,Categorias,Imagens,Ascendente",
        "Peso (kg)",
        "Tipo,SKU,Descrição curta,Tags,Classe de entrega",
    ),
    "nl": (
        "ID,Naam,Beschrijving,Categorieën,Afbeeldingen,Hoofdproduct",
        "Gewicht (kg)",
        "Type,Artikelnummer,Korte beschrijving,Tags,Verzendklasse",
    ),
    "pl": (
        "ID,Nazwa,Opis,Kategorie,Obrazki,Nadrzędny",
        "Waga (kg)",
        "Rodzaj,SKU,Krótki opis,Znaczniki,Klasa wysyłkowa",
    ),
    "sv": (
        "ID,Namn,Beskrivning,Kategorier,Bilder,Överordnad",
        "Vikt (kg)",
        "Typ,Artikelnummer,Kort beskrivning,Etiketter,Fraktklass",
    ),
    "ru": (
        "ID,Имя,Описание,Категории,Изображения,Родительский",
        "Вес (кг)",
        "Тип,Артикул,Краткое описание,Метки,Класс доставки",
    ),
    "tr": (
        "Kimlik,İsim,Açıklama,Kategoriler,Görseller,Ebeveyn",
        "Ağırlık (kg)",
        "Tür,Stok kodu (SKU),Kısa açıklama,Etiketler,Gönderim sınıfı",
    ),
    "ja": ("ID,名前,説明,カテゴリー,画像,親", "重量 (kg)", "タイプ,SKU,簡単な説明,タグ,配送クラス"),
    "zh": ("ID,名称,描述,分类,图片,父级", "重量 (kg)", "类型,SKU,简短描述,标签,运费类"),
    "zh-tw": ("ID,名稱,描述,分類,圖片,上層", "重量 (kg)", "類型,貨號,簡短內容說明,標籤"),
    "ar": ("المعرف,الاسم,الوصف,التصنيفات,الصور,الأصل", "الوزن (kg)", "النوع,رمز المنتج,وصف قصير,الوسوم"),
}
ROLES = ("id", "title", "description", "category", "images", "group")


def columns(tmp_path, header, delimiter=",", encoding="utf-8"):
    """The roles of a file's columns, its fields and ignored columns aside."""
    path = tmp_path / "export.csv"
    names = next(csv.reader([header], delimiter=delimiter))
    path.write_text(f"{header}\n{delimiter.join('' for _ in names)}\n", encoding)
    found = read(path, delimiter=delimiter, format="none").columns.to_dict()
    return {role: found[role] for role in found if role not in ("fields", "ignored")}


@pytest.mark.parametrize("form", ["NFC", "NFD", "upper"])
@pytest.mark.parametrize("language", WOOCOMMERCE)
def test_a_woocommerce_export_in_each_language(tmp_path, language, form):
    roles, weight, others = WOOCOMMERCE[language]
    header = f"{roles},{weight},{others}"
    header = header.upper() if form == "upper" else unicodedata.normalize(form, header)
    names = header.split(",")
    found = columns(tmp_path, header)
    assert found == {
        role: [name] if role == "images" else name
        for role, name in zip(ROLES, names[: len(ROLES)], strict=True)
    }


PLATFORMS = {
    "TITLE,DESCRIPTION,PRICE,TAGS,MATERIALS,IMAGE1,IMAGE2,IMAGE10,VARIATION 1 NAME,SKU": {
        **{"title": "TITLE", "description": "DESCRIPTION", "id": "SKU"},
        "images": ["IMAGE1", "IMAGE2", "IMAGE10"],
    },
    "TITEL,BESCHREIBUNG,PREIS,TAGS,MATERIALIEN,BILD1,BILD2,BILD10,SKU": {
        **{"title": "TITEL", "description": "BESCHREIBUNG", "id": "SKU"},
        "images": ["BILD1", "BILD2", "BILD10"],
    },
    "TITOLO,DESCRIZIONE,PREZZO,TAG,MATERIALI,IMMAGINE1,IMMAGINE2,IMMAGINE10,SKU": {
        **{"title": "TITOLO", "description": "DESCRIZIONE", "id": "SKU"},
        "images": ["IMMAGINE1", "IMMAGINE2", "IMMAGINE10"],
    },
    "TÍTULO,DESCRIPCIÓN,PRECIO,IMAGEN1,IMAGEN2,SKU": {
        **{"title": "TÍTULO", "description": "DESCRIPCIÓN", "id": "SKU", "images": ["IMAGEN1", "IMAGEN2"]},
    },
    "TYTUŁ,OPIS,CENA,ZDJĘCIE1,ZDJĘCIE2,SKU": {
        **{"title": "TYTUŁ", "description": "OPIS", "id": "SKU", "images": ["ZDJĘCIE1", "ZDJĘCIE2"]},
    },
    "タイトル,説明,価格,画像1,画像2,SKU": {
        **{"title": "タイトル", "description": "説明", "id": "SKU", "images": ["画像1", "画像2"]},
    },
    "ID,Image,Nom,Référence,Catégorie,Prix (HT),Quantité,État,Position": {
        **{"id": "ID", "title": "Nom", "category": "Catégorie", "images": ["Image"]},
    },
    "ID,Bild,Name,Artikel-Nr.,Kategorie,Preis (zzgl. MwSt.),Menge,Status": {
        **{"id": "ID", "title": "Name", "category": "Kategorie", "images": ["Bild"]},
    },
    "ID,Zdjęcie,Nazwa,Indeks,Kategoria,Cena,Ilość": {
        **{"id": "ID", "title": "Nazwa", "category": "Kategoria", "images": ["Zdjęcie"]},
    },
    "Product ID;Active (0/1);Name *;Categories (x,y,z...);Weight;Description;Image URLs (x,y,z...)": {
        **{"id": "Product ID", "title": "Name *", "description": "Description"},
        **{"category": "Categories (x,y,z...)", "images": ["Image URLs (x,y,z...)"]},
    },
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Variant SKU,Image Src,Image Alt Text": {
        **{"id": "Variant SKU", "group": "Handle", "title": "Title", "description": "Body (HTML)"},
        **{"category": "Product Category", "images": ["Image Src"]},
    },
    "Title,URL handle,Description,Product category,Type,SKU,Product image URL,Image position": {
        **{"id": "SKU", "group": "URL handle", "title": "Title", "description": "Description"},
        **{"category": "Product category", "images": ["Product image URL"]},
    },
    "sku,product_type,categories,name,description,weight,base_image,additional_images": {
        **{"id": "sku", "title": "name", "description": "description", "category": "categories"},
        "images": ["base_image", "additional_images"],
    },
    "sku;categories;family;groups;parent;name-en_US;name-de_DE;description-en_US-ecommerce;picture": {
        **{"id": "sku", "title": "name-en_US", "description": "description-en_US-ecommerce"},
        **{"category": "categories", "group": "parent", "images": ["picture"]},
    },
    "g:id,g:title,g:description,g:image_link,g:additional_image_link,g:item_group_id,g:product_type": {
        **{"id": "g:id", "title": "g:title", "description": "g:description", "group": "g:item_group_id"},
        **{"category": "g:product_type", "images": ["g:image_link", "g:additional_image_link"]},
    },
    "post_title,post_content,sku,tax:product_cat,images,weight": {
        **{"id": "sku", "title": "post_title", "description": "post_content"},
        **{"category": "tax:product_cat", "images": ["images"]},
    },
    "index,product,category,sub_category,brand,sale_price,type,rating,description": {
        **{"title": "product", "description": "description", "levels": ["category", "sub_category"]},
    },
    "productId,productName,brandName,price,productImage,productCategory": {
        **{"id": "productId", "title": "productName", "category": "productCategory"},
        "images": ["productImage"],
    },
    "image,name,classes": {"title": "name", "category": "classes", "images": ["image"]},
    "uniq_id,product_name,product_category_tree,pid,image,brand": {
        **{"id": "uniq_id", "title": "product_name", "category": "product_category_tree"},
        "images": ["image"],
    },
    "product_id,name(en-gb),categories,model,image_name,weight,description(en-gb)": {
        **{"id": "product_id", "title": "name(en-gb)", "description": "description(en-gb)"},
        **{"category": "categories", "images": ["image_name"]},
    },
    "item_sku,item_name,feed_product_type,main_image_url,other_image_url1,other_image_url2,parent_sku": {
        **{"id": "item_sku", "title": "item_name", "category": "feed_product_type", "group": "parent_sku"},
        "images": ["main_image_url", "other_image_url1", "other_image_url2"],
    },
    "商品管理番号（商品URL）,商品番号,商品名,PC用商品説明文,商品画像URL,表示先カテゴリ": {
        **{"id": "商品管理番号（商品URL）", "title": "商品名", "description": "PC用商品説明文"},
        **{"category": "表示先カテゴリ", "images": ["商品画像URL"]},
    },
    "Артикул продавца,Наименование,Категория продавца,Бренд,Описание,Фото": {
        **{"id": "Артикул продавца", "title": "Наименование", "description": "Описание"},
        **{"category": "Категория продавца", "images": ["Фото"]},
    },
    "Ürün Kodu,Ürün Adı,Ürün Açıklaması,Kategori,Alt Kategori,Görsel 1,Görsel 2,Marka": {
        **{"id": "Ürün Kodu", "title": "Ürün Adı", "description": "Ürün Açıklaması"},
        **{"levels": ["Kategori", "Alt Kategori"], "images": ["Görsel 1", "Görsel 2"]},
    },
    "URUN KODU,URUN ADI,ACIKLAMA,KATEGORI,GORSEL": {  # typed without the letters of the language
        **{"id": "URUN KODU", "title": "URUN ADI", "description": "ACIKLAMA", "category": "KATEGORI"},
        "images": ["GORSEL"],
    },
    "Code article;Libellé;Rayon;Famille;Sous-famille;Photo": {
        **{"id": "Code article", "title": "Libellé", "levels": ["Rayon", "Famille", "Sous-famille"]},
        "images": ["Photo"],
    },
    "Código;Nombre del producto;Categoría nivel 1;Categoría nivel 2;Imagen 1": {
        **{"id": "Código", "title": "Nombre del producto"},
        **{"levels": ["Categoría nivel 1", "Categoría nivel 2"], "images": ["Imagen 1"]},
    },
    "商品编号,商品名称,一级类目,二级类目,商品主图": {
        **{"id": "商品编号", "title": "商品名称", "levels": ["一级类目", "二级类目"], "images": ["商品主图"]},
    },
}


@pytest.mark.parametrize("header", PLATFORMS)
def test_headers_of_platforms_and_data_sets(tmp_path, header):
    delimiter = ";" if header.count(";") > header.count(",") else ","
    assert columns(tmp_path, header, delimiter) == PLATFORMS[header]


@pytest.mark.parametrize(
    ("header", "role", "column"),
    [
        ("Kategorie,Category,category_path", "category", "Category"),  # English before a translation
        ("Catégory,Category", "category", "Category"),  # a name as it is before its variant
        ("names,name", "title", "name"),
        ("Titel,Titles", "title", "Titles"),  # an English plural before a translation
        ("name_de,Bezeichnung", "title", "Bezeichnung"),  # a whole name before a part of one
        ("Name (intern),Produktname", "title", "Produktname"),
        ("name-fr_FR,name-en_US", "title", "name-fr_FR"),  # equals: the first
        ("label,Kategorie", "category", "Kategorie"),  # a label may be a title
        ("image_id,Bild", "images", ["Bild"]),
        ("Category (EN),category_url", "category", "Category (EN)"),
    ],
)
def test_the_surest_name_wins(tmp_path, header, role, column):
    assert columns(tmp_path, header)[role] == column


@pytest.mark.parametrize(
    "header",
    ["Gewicht (kg)", "Weight (lbs)", "Poids", "weight", "Weight", "product_weight", "weights", "重量 (kg)"],
)
def test_what_a_product_weighs_is_a_field(tmp_path, header):
    rows = [{"title": f"thing {i}", "category": "A" if i % 2 else "B", header: str(i)} for i in range(4)]
    catalog = read(rows)
    assert catalog.columns.weight is None
    assert catalog.weights is None
    assert catalog[3].fields[header] == "3"


@pytest.mark.parametrize("header", ["sample_weight", "row_weight", "Sample Weight"])
def test_how_much_a_row_counts_has_a_name_of_its_own(header):
    assert read([{"title": "a", header: "0.5"}, {"title": "b", header: "2"}]).weights.tolist() == [0.5, 2]
    given = read([{"title": "a", "weight": "0.5"}], columns={"weight": "weight"})
    assert given.weights.tolist() == [0.5]


def test_numbers_alone_are_no_levels(tmp_path):
    assert "levels" not in columns(tmp_path, "title,1,2,3")
