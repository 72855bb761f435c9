"""Small exports in the shape of each platform's: real headers, invented rows."""

from typing import Any, NamedTuple


class Export(NamedTuple):
    """A file and what it holds: (id, title, categories, images, some fields) of each product."""

    title: str
    file: str
    text: str
    products: list[tuple[str, str, list[str], list[str], dict[str, str]]]
    product_of_rows: list[int]
    encoding: str = "utf-8"
    beside: dict[str, str] | None = None

    def write(self, folder: Any) -> Any:
        """Write the file, and those beside it; returns its path."""
        for name, text in (self.beside or {}).items():
            (folder / name).write_text(text, "utf-8")
        path = folder / self.file
        path.write_text(self.text, self.encoding)
        return path


WOOCOMMERCE = Export(
    "WooCommerce product export",
    "woo.csv",
    'ID,Type,SKU,Name,Published,"Is featured?","Visibility in catalog","Short description",Description,'
    '"Date sale price starts","Date sale price ends","Tax status","Tax class","In stock?",Stock,'
    '"Backorders allowed?","Sold individually?","Weight (kg)","Allow customer reviews?","Purchase note",'
    '"Sale price","Regular price",Categories,Tags,"Shipping class",Images,"Download limit",'
    '"Download expiry days",Parent,"Grouped products",Upsells,Cross-sells,"External URL","Button text",'
    'Position,"Attribute 1 name","Attribute 1 value(s)","Attribute 1 visible","Attribute 1 global",'
    '"Meta: _wpcom_is_markdown"\n'
    "64,variation,hood-red,Hoodie - Red,1,0,visible,,,,,taxable,,1,,0,0,1.5,0,,42,45,,,,"
    "https://x.example/red.jpg,,,hood,,,,,,1,Color,Red,,1,\n"
    '44,variable,hood,Hoodie,1,1,visible,A hoodie.,"<p>Warm &amp; soft</p>",,,taxable,,1,,0,0,1.5,1,,,,'
    '"Clothing, Clothing > Hoodies, Sale",,,"https://x.example/a.jpg, https://x.example/b.jpg",,,,,,,,,0,'
    'Color,"Blue, Green, Red",1,1,1\n'
    "45,simple,album,Album,1,0,visible,,Music,,,taxable,,1,,0,0,,1,,,15,"
    '"Music\\, Films & More > Rock",,,https://x.example/album.jpg,,,,,,,,,0,,,,,1\n'
    "65,variation,,Hoodie - Green,1,0,visible,,,,,taxable,,1,,0,0,1.5,0,,,45,,,,,,,id:44,,,,,,2,Color,"
    "Green,,1,\n",
    [
        (
            "44",
            "Hoodie",
            ["Clothing > Hoodies", "Sale"],
            ["https://x.example/a.jpg", "https://x.example/b.jpg", "https://x.example/red.jpg"],
            {"description": "Warm & soft", "Color": "Blue, Green, Red", "SKU": "hood"},
        ),
        ("45", "Album", ["Music, Films & More > Rock"], ["https://x.example/album.jpg"], {}),
    ],
    [0, 0, 1, 0],
)
WOOCOMMERCE_DE = Export(
    "WooCommerce product export",
    "woo_de.csv",
    "\ufeffID,Typ,Artikelnummer,Name,Veröffentlicht,Ist hervorgehoben?,Sichtbarkeit im Katalog,"
    "Kurzbeschreibung,Beschreibung,Regulärer Preis,Kategorien,Schlagwörter,Bilder,Übergeordnetes Produkt,"
    "Attribut 1 Name,Attribut 1 Wert(e),Attribut 1 Sichtbar\r\n"
    '1,variable,A1,Hose,1,0,visible,,Warme Hose,,"Kleidung > Hosen, Sale",,https://x/a.jpg,,Farbe,'
    '"Rot, Blau",1\r\n'
    "2,variation,A1-r,Hose - Rot,1,0,visible,,,12,,,https://x/r.jpg,A1,Farbe,Rot,\r\n",
    [
        (
            "1",
            "Hose",
            ["Kleidung > Hosen", "Sale"],
            ["https://x/a.jpg", "https://x/r.jpg"],
            {"Farbe": "Rot, Blau"},
        )
    ],
    [0, 0],
)
WOOCOMMERCE_FR = Export(
    "WooCommerce product export",
    "woo_fr.csv",
    "ID;Type;UGS;Nom;Publié;Mis en avant ?;Visibilité dans le catalogue;Description courte;Description;"
    "Tarif régulier;Catégories;Étiquettes;Images;Parent;Nom de l’attribut 1;Valeur(s) de l’attribut 1\n"
    "7;simple;S7;Tasse;1;0;visible;;Une tasse;9;Cuisine > Tasses;;https://x/t.jpg;;Couleur;Rouge\n",
    [("7", "Tasse", ["Cuisine > Tasses"], ["https://x/t.jpg"], {"Couleur": "Rouge"})],
    [0],
    "cp1252",
)
WOOCOMMERCE_PLUGIN = Export(
    "WooCommerce export of a plugin",
    "plugin.csv",
    "post_title,post_name,post_status,sku,parent_sku,stock_status,images,tax:product_type,tax:product_cat,"
    "attribute:pa_color,attribute_data:pa_color,meta:attribute_pa_color\n"
    "Sofa,sofa,publish,S1,,instock,https://x/a.jpg ! alt : Sofa ! title : s ! desc :  ! caption :  | "
    "https://x/b.jpg ! alt : ,variable,Home > Sofas|Sale,Red|Blue,0|1|1,\n"
    "Sofa Red,sofa-red,publish,S1-R,S1,instock,https://x/r.jpg,,,,,Red\n"
    "Lamp,lamp,publish,L1,,instock,https://x/l.jpg,simple,Home > Lamps,,,\n",
    [
        (
            "S1",
            "Sofa",
            ["Home > Sofas", "Sale"],
            ["https://x/a.jpg", "https://x/b.jpg", "https://x/r.jpg"],
            {"color": "Red|Blue, Red"},
        ),
        ("L1", "Lamp", ["Home > Lamps"], ["https://x/l.jpg"], {}),
    ],
    [0, 0, 1],
)
WOOCOMMERCE_API = Export(
    "WooCommerce products (API)",
    "products.json",
    '[{"id": 1, "name": "Hoodie", "slug": "hoodie", "permalink": "https://x/", "type": "variable", '
    '"status": "publish", "catalog_visibility": "visible", "description": "<p>d</p>", "sku": "h", '
    '"regular_price": "1", "categories": [{"id": 10, "name": "Hoodies", "slug": "h"}], '
    '"images": [{"id": 1, "src": "https://x/1.jpg"}, {"id": 2, "src": "https://x/2.jpg"}], '
    '"attributes": [{"id": 6, "name": "Color", "visible": true, "options": ["Black", "Green"]}], '
    '"parent_id": 0}, {"id": 2, "name": "Cap", "slug": "cap", "permalink": "https://x/", "type": "simple", '
    '"status": "publish", "catalog_visibility": "visible", "description": "", "sku": "c", '
    '"regular_price": "1", "categories": [{"id": 11, "name": "Caps", "slug": "c"}], "images": [], '
    '"attributes": [], "parent_id": 0}]',
    [
        ("1", "Hoodie", ["Hoodies"], ["https://x/1.jpg", "https://x/2.jpg"], {"Color": "Black, Green"}),
        ("2", "Cap", ["Caps"], [], {}),
    ],
    [0, 1],
)
SHOPIFY = Export(
    "Shopify product export",
    "shopify.csv",
    "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,"
    "Barcode,Option1 name,Option1 value,Option1 Linked To,Price,Product image URL,Image position,"
    "Image alt text,Variant image URL,SEO title,Color (product.metafields.shopify.color-pattern),"
    "Google Shopping / Google product category\n"
    'Tee,tee,"<p>Soft,\nwarm</p>",Acme,Apparel & Accessories > Clothing > Shirts & Tops,Shirts,"a, b",TRUE,'
    "Active,T-R,,Size,S,,10,https://x/2.jpg,2,,https://x/r.jpg,,red; blue,212\n"
    ",tee,,,,,,,,T-B,,,M,,10,https://x/1.jpg,1,,https://x/b.jpg,,,\n"
    ",tee,,,,,,,,,,,,,,https://x/3.jpg,3,,,,,\n"
    "Mug,mug,,Acme,Home & Garden > Kitchen & Dining > Mugs,Mugs,,TRUE,Draft,M,,Title,"
    "Default Title,,5,,,,,,,\n",
    [
        (
            "tee",
            "Tee",
            ["Apparel & Accessories > Clothing > Shirts & Tops"],
            ["https://x/1.jpg", "https://x/2.jpg", "https://x/3.jpg", "https://x/b.jpg", "https://x/r.jpg"],
            {"Size": "S, M", "SKU": "T-R, T-B", "Color": "red; blue"},
        ),
        ("mug", "Mug", ["Home & Garden > Kitchen & Dining > Mugs"], [], {"SKU": "M"}),
    ],
    [0, 0, 0, 1],
)
SHOPIFY_LEGACY = Export(
    "Shopify product export",
    "legacy.csv",
    "Handle,Title,Body (HTML),Vendor,Standard Product Type,Custom Product Type,Tags,Published,Option1 Name,"
    "Option1 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Price,Image Src,"
    "Image Position,Gift Card,Status\n"
    "pen,Gel pen,<p>writes</p>,Acme,,Office > Pens,,true,Colour,Red,P0,10,shopify,1.50,https://x/a.jpg,1,"
    "false,active\n"
    "pen,,,,,,,,,Blue,P1,10,shopify,1.60,https://x/b.jpg,2,,\n",
    [("pen", "Gel pen", ["Office > Pens"], ["https://x/a.jpg", "https://x/b.jpg"], {"Colour": "Red, Blue"})],
    [0, 0],
)
MAGENTO = Export(
    "Magento 2 product export",
    "magento.csv",
    "sku,store_view_code,attribute_set_code,product_type,categories,product_websites,name,description,"
    "short_description,weight,price,url_key,base_image,small_image,thumbnail_image,additional_attributes,"
    "additional_images,configurable_variations,configurable_variation_labels\n"
    "WH01-S,,Top,simple,Default Category/Women/Tops,base,Hoodie S,,,1.0,57,h-s,/w/h/red.jpg,/w/h/red.jpg,"
    'no_selection,"color=Red,size=S",,,\n'
    "WH01,,Top,configurable,"
    '"Default Category/Women,Default Category/Women/Tops,Default Category/Women/Tops/Hoodies",base,Hoodie,'
    '"<p>Soft, warm</p>",,,57,hoodie,/w/h/a.jpg,/w/h/a.jpg,,"material=""Cotton, wool"",pattern=Solid",'
    '/w/h/b.jpg,"sku=WH01-S,size=S,color=Red|sku=WH01-M,size=M,color=Red","size=Size,color=Color"\n'
    "WH01,de,,,,,Kapuzenpulli,Weich,,,,,,,,,,,\n"
    '24-MB01,,Bag,simple,"Default Category/Gear,Default Category/Gear/Bags\\/Packs",base,Bag,Sporty,,,34,'
    'bag,no_selection,,,"activity=Gym|Yoga",,,\n'
    'WH01-M,,Top,simple,Default Category/Women/Tops,base,Hoodie M,,,1.0,57,h-m,/w/h/red.jpg,,,"size=M",,,\n',
    [
        (
            "WH01",
            "Hoodie",
            ["Women > Tops > Hoodies"],
            ["w/h/a.jpg", "w/h/red.jpg", "w/h/b.jpg"],
            {"material": "Cotton, wool", "size": "S, M", "color": "Red", "weight": "1.0"},
        ),
        ("24-MB01", "Bag", ["Gear > Bags/Packs"], [], {"activity": "Gym|Yoga"}),
    ],
    [0, 0, 0, 1, 0],
)
AKENEO = Export(
    "Akeneo product export",
    "akeneo.csv",
    "sku;categories;enabled;family;groups;parent;name-en_US;name-de_DE;description-en_US-ecommerce;"
    "price-EUR;picture;color\n"
    "t1-r;tshirts,summer;1;clothing;;t1;Red Tee;Rotes T-Shirt;A tee;9.9;files/a.jpg;red\n"
    "t1-b;tshirts;1;clothing;;t1;Blue Tee;Blaues T-Shirt;A tee;9.9;files/b.jpg;blue\n"
    "m1;mugs;1;kitchen;;;Mug;Tasse;A mug;5;;white\n",
    [
        (
            "t1-r",
            "Red Tee",
            ["Clothing > T-shirts", "Summer"],
            ["files/a.jpg", "files/b.jpg"],
            {"family": "clothing", "color": "red"},
        ),
        ("m1", "Mug", ["Mugs"], [], {"description": "A mug"}),
    ],
    [0, 0, 1],
    beside={
        "categories.csv": "code;parent;label-en_US;label-de_DE\nmaster;;Master catalog;\n"
        "clothing;master;Clothing;Kleidung\ntshirts;clothing;T-shirts;\nsummer;master;Summer;\n"
        "mugs;master;Mugs;Tassen\n"
    },
)
GOOGLE = Export(
    "Google Merchant feed",
    "feed.tsv",
    "id\ttitle\tdescription\tlink\timage link\tadditional image link\tavailability\tprice\tbrand\tgtin\t"
    "condition\tgoogle product category\tproduct type\titem group id\tcolor\n"
    "1a\tDress red\tNice\thttps://x/1\thttps://x/1.jpg\thttps://x/1b.jpg,https://x/1c.jpg\tin stock\t9 USD\t"
    "A\t\tnew\t2271\tHome > Women > Dresses, Home > Sale\tg1\tred\n"
    "2\tPan\tNice\thttps://x/2\thttps://x/3.jpg\t\tin stock\t9 USD\tA\t\tnew\t2901\t"
    "Home > Pots, Pans > Pans\t\t\n"
    "1b\tDress blue\tNice\thttps://x/1\thttps://x/2.jpg\t\tin stock\t9 USD\tA\t\tnew\t2271\t"
    "Home > Women > Dresses\tg1\tblue\n",
    [
        (
            "1a",
            "Dress red",
            ["Home > Women > Dresses", "Home > Sale"],
            ["https://x/1.jpg", "https://x/2.jpg", "https://x/1b.jpg", "https://x/1c.jpg"],
            {"color": "red, blue", "brand": "A"},
        ),
        ("2", "Pan", ["Home > Pots, Pans > Pans"], ["https://x/3.jpg"], {}),
    ],
    [0, 1, 0],
)
GOOGLE_XML = Export(
    "Google Merchant feed",
    "feed.xml",
    '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>'
    "<title>Shop</title><item><g:id>a</g:id><g:title>Tee</g:title><g:link>https://x/</g:link>"
    "<g:image_link>https://x/1.jpg</g:image_link>"
    "<g:additional_image_link>https://x/2.jpg</g:additional_image_link>"
    "<g:additional_image_link>https://x/3.jpg</g:additional_image_link>"
    "<g:product_type>Clothing &gt; Tees</g:product_type><g:item_group_id>t</g:item_group_id></item>"
    "<item><g:id>b</g:id><g:title>Tee blue</g:title><g:image_link>https://x/4.jpg</g:image_link>"
    "<g:product_type>Clothing &gt; Tees</g:product_type><g:item_group_id>t</g:item_group_id></item>"
    "</channel></rss>",
    [
        (
            "a",
            "Tee",
            ["Clothing > Tees"],
            ["https://x/1.jpg", "https://x/4.jpg", "https://x/2.jpg", "https://x/3.jpg"],
            {},
        )
    ],
    [0, 0],
)
ETSY = Export(
    "Etsy listings",
    "etsy.csv",
    "TITLE,DESCRIPTION,PRICE,CURRENCY_CODE,QUANTITY,TAGS,MATERIALS,IMAGE1,IMAGE2,IMAGE3,IMAGE4,IMAGE5,IMAGE6,"
    "IMAGE7,IMAGE8,IMAGE9,IMAGE10,VARIATION 1 TYPE,VARIATION 1 NAME,VARIATION 1 VALUES,VARIATION 2 TYPE,"
    "VARIATION 2 NAME,VARIATION 2 VALUES,SKU,SECTION\n"
    '"Mug, blue","Line one\nline two",24.00,USD,7,"pottery,gift",clay,https://i/1.jpg,https://i/2.jpg,,,,,,,,'
    'https://i/10.jpg,Custom,Colour,"Blue,Green",,,,MUG,Mugs\n'
    "Ring,Silver,6.15,GBP,1,,,https://i/3.jpg,,,,,,,,,,,,,,,,RING,Rings\n",
    [
        (
            "MUG",
            "Mug, blue",
            ["Mugs"],
            ["https://i/1.jpg", "https://i/2.jpg", "https://i/10.jpg"],
            {"Colour": "Blue, Green", "TAGS": "pottery,gift"},
        ),
        ("RING", "Ring", ["Rings"], ["https://i/3.jpg"], {}),
    ],
    [0, 1],
)
ETSY_DE = Export(
    "Etsy listings",
    "etsy_de.csv",
    "TITEL,BESCHREIBUNG,PREIS,WÄHRUNGSCODE,STÜCKZAHL,TAGS,MATERIALIEN,BILD1,BILD2,BILD3,BILD4,BILD5,BILD6,BILD7,"
    "BILD8,BILD9,BILD10,VARIATIONSTYP 1,VARIATIONSNAME 1,VARIATIONSWERT 1,VARIATIONSTYP 2,VARIATIONSNAME 2,"
    "VARIATIONSWERT 2,BESTANDSEINHEIT,KATEGORIE\n"
    'Tasse,Blau,24.00,EUR,7,,,https://i/1.jpg,https://i/2.jpg,,,,,,,,,Farbe,Farbe,"Rot, Blau",,,,T1,Tassen\n',
    [
        (
            "T1",
            "Tasse",
            ["Tassen"],
            ["https://i/1.jpg", "https://i/2.jpg"],
            {"description": "Blau", "Farbe": "Rot, Blau"},
        )
    ],
    [0],
)
AMAZON = Export(
    "Amazon flat file",
    "amazon.txt",
    "TemplateType=fptcustom\tVersion=2021.1014\tTemplateSignature=U0hJUlQ=\tThe top 3 rows are for "
    "Amazon.com use only. Do not modify or delete the top 3 rows.\t\t\tImages\t\tVariation\t\t\t\n"
    "Product Type\tSeller SKU\tBrand Name\tProduct Name\tItem Type Keyword\tRecommended Browse Nodes\t"
    "Main Image URL\tOther Image Url\tParentage\tParent SKU\tColor\tProduct Description\n"
    "feed_product_type\titem_sku\tbrand_name\titem_name\titem_type\trecommended_browse_nodes\t"
    "main_image_url\tother_image_url1\tparent_child\tparent_sku\tcolor_name\tproduct_description\n"
    "shirt\tTEE\tAcme\tAcme Tee\tfashion-t-shirts\t1040658\thttps://x/p.jpg\t\tparent\t\t\tA tee\n"
    "shirt\tTEE-R\tAcme\tAcme Tee Red\tfashion-t-shirts\t1040658\thttps://x/r.jpg\thttps://x/r2.jpg\tchild\t"
    "TEE\tRed\tA tee\n"
    "shirt\tTEE-B\tAcme\tAcme Tee Blue\tfashion-t-shirts\t1040658\thttps://x/b.jpg\t\tchild\tTEE\tBlue\t\n"
    "shirt\tPOLO\tAcme\tAcme Polo\tpolo-shirts\t1045624\thttps://x/po.jpg\t\t\t\t\tA polo\n",
    [
        (
            "TEE",
            "Acme Tee",
            ["fashion-t-shirts"],
            ["https://x/p.jpg", "https://x/r.jpg", "https://x/b.jpg", "https://x/r2.jpg"],
            {"color_name": "Red, Blue"},
        ),
        ("POLO", "Acme Polo", ["polo-shirts"], ["https://x/po.jpg"], {"brand_name": "Acme"}),
    ],
    [0, 0, 0, 1],
)
PRESTASHOP = Export(
    "PrestaShop product export",
    "presta.csv",
    "Product ID;Active (0/1);Name *;Categories (x,y,z...);Price tax excluded;Tax rules ID;Reference #;"
    "Quantity;"
    "Summary;Description;Image URLs (x,y,z...);Image alt texts (x,y,z...);"
    "Feature (Name:Value:Position:Customized)\n"
    "1;1;Shirt;Home,Home/Clothes,Home/Clothes/Men;23.9;1;demo_1;100;Short;<p>Long</p>;"
    "https://x/1.jpg,https://x/2.jpg;;Composition:Cotton:1:0,Property:Short sleeves:2\n"
    "2;1;Mug;Home/Accessories;11.9;1;demo_2;100;;Mug;https://x/3.jpg;;\n",
    [
        (
            "1",
            "Shirt",
            ["Clothes > Men"],
            ["https://x/1.jpg", "https://x/2.jpg"],
            {"Composition": "Cotton", "Property": "Short sleeves", "description": "Long"},
        ),
        ("2", "Mug", ["Accessories"], ["https://x/3.jpg"], {}),
    ],
    [0, 1],
)
OPENCART = Export(
    "OpenCart product export",
    "products.csv",
    "product_id,name(en-gb),categories,sku,upc,ean,jan,isbn,mpn,location,quantity,model,"
    "manufacturer,image_name,"
    "shipping,price,points,date_added,date_modified,date_available,weight,weight_unit,length,width,height,"
    "length_unit,status,tax_class_id,description(en-gb),meta_title(en-gb),stock_status_id,store_ids,subtract\n"
    '40,iPhone,"20,24",,,,,,,,970,product 11,Apple,catalog/demo/iphone.jpg,yes,101.00,0,2009-02-03,'
    "2011-09-30,2009-02-03,10.00,kg,0,0,0,cm,true,9,Phone,iPhone,5,0,true\n",
    [("40", "iPhone", ["Desktops > Phones & PDAs"], ["catalog/demo/iphone.jpg"], {"manufacturer": "Apple"})],
    [0],
    beside={"categories.csv": "category_id,parent_id,name(en-gb)\n20,0,Desktops\n24,20,Phones & PDAs\n"},
)
OPENCART_CSVPRICE = Export(
    "OpenCart export of CSV Price Pro",
    "price.csv",
    '"_NAME_";"_MODEL_";"_SKU_";"_MANUFACTURER_";"_PRICE_";"_QUANTITY_";"_DESCRIPTION_";"_CATEGORY_";"_IMAGE_";'
    '"_IMAGES_"\n"Pan";"P1";"S1";"A";"1";"2";"desc";"Kitchen|Pans\nSale";"data/p.jpg";"data/q.jpg,data/r.jpg"\n',
    [
        (
            "S1",
            "Pan",
            ["Kitchen > Pans", "Sale"],
            ["data/p.jpg", "data/q.jpg", "data/r.jpg"],
            {"description": "desc"},
        )
    ],
    [0],
)
RAKUTEN = Export(
    "Rakuten product export",
    "item-cat.csv",
    "コントロールカラム,商品管理番号（商品URL）,商品名,表示先カテゴリ,優先度,URL,1ページ複数形式\n"
    "u,pen-1,ボールペン 青,文房具\\ペン,1,,\nu,pen-1,ボールペン 青,セール,1,,\n"
    "u,mug-1,マグカップ,キッチン\\マグ,1,,\n",
    [
        ("pen-1", "ボールペン 青", ["文房具 > ペン", "セール"], [], {}),
        ("mug-1", "マグカップ", ["キッチン > マグ"], [], {}),
    ],
    [0, 0, 1],
    "cp932",
)
EXPORTS = [value for value in list(globals().values()) if isinstance(value, Export)]
