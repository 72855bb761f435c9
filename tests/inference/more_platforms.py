# ruff: noqa: E501 - rows of exports
"""Templates of exports, as in `test_write_back_platforms`: file, template, and more of its fields by name."""

FLAT = (("Lamps",), ("Pots",))

MORE = {
    "wix": (
        "catalog_products.csv",
        "handleId,fieldType,name,description,productImageUrl,collection,sku,price\n"
        "l,Product,Lamp,A lamp,a.jpg,{0},L,9\nl,Variant,,,,,L-r,9\n"
        "p,Product,Pot,A pot,b.jpg;c.jpg,{1},P,9\nt,Product,Thing,A thing,,{2},T,9\n",
        {"old": ("", "Old", "Kept;Old"), "new": ("Lamps", "Pots"), "paths": FLAT},
    ),
    "squarespace": (
        "products.csv",
        "Product ID [Non Editable],Variant ID [Non Editable],Product Type [Non Editable],Product Page,Product URL,Title,"
        "Description,SKU,Price,Categories,Hosted Image URLs\n"
        "l,1,PHYSICAL,shop,lamp,Lamp,A lamp,L,9,{0},https://x.test/1.jpg\n,2,,,,,,L-r,9,,\n"
        "p,3,PHYSICAL,shop,pot,Pot,A pot,P,9,{1},\nt,4,PHYSICAL,shop,thing,Thing,A thing,T,9,{2},\n",
        {
            "new": ("/Home/Lamps", "/Garden/Pots/Clay"),
            "paths": (("Home", "Lamps"), ("Garden", "Pots", "Clay")),
        },
    ),
    "ebay": (
        "listings.csv",
        "Action(SiteID=US|Country=US),Custom label (SKU),Category ID,Category name,Title,Price,Item photo URL,Condition ID,"
        "Description,Format\n"
        "Add,L,1,{0},Lamp,9,https://x.test/1.jpg|https://x.test/2.jpg,1000,A lamp,FixedPrice\n"
        "Add,P,2,{1},Pot,9,,1000,A pot,FixedPrice\nAdd,T,3,{2},Thing,9,,1000,A thing,FixedPrice\n",
        {"old": ("", "/Old", "/Kept"), "new": ('"/Home/Lamps, Bulbs & More"', "/Garden/Pots/Clay")},
    ),
    "loyverse": (
        "export_items.csv",
        "Handle,SKU,Name,Category,Description,Sold by weight,Option 1 name,Option 1 value,Default price\n"
        "lamp,1,Lamp,{0},A lamp,N,Color,Red,9\nlamp,2,,,,,,Blue,9\npot,3,Pot,{1},A pot,N,,,9\nthing,4,Thing,{2},?,N,,,9\n",
        {"old": ("", "Old", "Kept"), "new": ("Lamps", "Pots"), "paths": FLAT},
    ),
    "lightspeed": (
        "product-export.csv",
        "id,handle,sku,name,description,product_category,variant_option_one_name,variant_option_one_value,supply_price,"
        "retail_price,brand_name\n"
        "1,lamp,L-r,Lamp,A lamp,{0},Color,Red,1,9,B\n2,lamp,L-b,Lamp,A lamp,{0},Color,Blue,1,9,B\n"
        "3,pot,P,Pot,A pot,{1},,,1,9,B\n4,thing,T,Thing,A thing,{2},,,1,9,B\n",
        {"new": ('"Home / Lamps, Bulbs & More"', "Garden / Pots / Clay")},
    ),
    "trendyol": (
        "urunler.csv",
        "Barkod;Model Kodu;Marka;Kategori;Ürün Adı;Ürün Açıklaması;Stok Kodu;Beden;Görsel 1\n"
        "1;L;B;{0};Lamba;Bir lamba;L-s;S;https://x.test/1.jpg\n2;L;B;{0};Lamba;Bir lamba;L-m;M;https://x.test/1.jpg\n"
        "3;P;B;{1};Saksı;Bir saksı;P;;\n4;T;B;{2};Şey;Bir şey;T;;\n",
        {"new": ("Lamps", "Pots"), "paths": FLAT},
    ),
    "medusa": (
        "products.csv",
        "Product Id,Product Handle,Product Title,Product Description,Product Status,Product Type,Variant Id,Variant Title,"
        "Variant SKU,Option 1 Name,Option 1 Value,Image 1 Url\n"
        "p1,lamp,Lamp,A lamp,published,{0},v1,S,L-s,Size,S,https://x.test/1.jpg\n"
        "p1,lamp,Lamp,A lamp,published,{0},v2,M,L-m,Size,M,https://x.test/1.jpg\n"
        "p2,pot,Pot,A pot,published,{1},v3,One,P,,,\np3,thing,Thing,A thing,published,{2},v4,One,T,,,\n",
        {"new": ("Lamps", "Pots"), "paths": FLAT},
    ),
    "salesforce": (
        "catalog.xml",
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<catalog xmlns="http://www.demandware.com/xml/impex/catalog/2006-10-31" catalog-id="shop">\n'
        '<product product-id="l"><display-name xml:lang="x-default">Lamp</display-name><online-flag>true</online-flag>'
        '<images><image-group view-type="large"><image path="large/1.jpg"/><image path="large/2.jpg"/></image-group>'
        '<image-group view-type="small"><image path="small/1.jpg"/></image-group></images>'
        '<classification-category catalog-id="shop">{0}</classification-category></product>\n'
        '<product product-id="p"><display-name xml:lang="x-default">Pot</display-name><online-flag>true</online-flag>'
        '<classification-category catalog-id="shop">{1}</classification-category></product>\n'
        '<product product-id="t"><display-name xml:lang="x-default">Thing</display-name><online-flag>true</online-flag>'
        '<classification-category catalog-id="shop">{2}</classification-category></product>\n</catalog>\n',
        {"old": ("", "old", "kept"), "new": ("Lamps", "Pots"), "paths": FLAT},
    ),
    "skroutz": (
        "skroutz.xml",
        '<?xml version="1.0" encoding="UTF-8" ?><mywebstore><products>\n'
        "<product><UniqueID>1</UniqueID><name>Lamp</name><link>https://x.test</link><image>https://x.test/1.jpg</image>"
        '<category id="846"><![CDATA[{0}]]></category><price_with_vat>9</price_with_vat><manufacturer/><mpn>1</mpn>'
        "<instock>Y</instock></product>\n"
        "<product><UniqueID>2</UniqueID><name>Pot</name><link>https://x.test</link><image>https://x.test/2.jpg</image>"
        "<category>{1}</category><price_with_vat>9</price_with_vat><manufacturer/><mpn>2</mpn><instock>Y</instock></product>\n"
        "<product><UniqueID>3</UniqueID><name>Thing</name><link>https://x.test</link><image>https://x.test/3.jpg</image>"
        "<category>{2}</category><price_with_vat>9</price_with_vat><manufacturer/><mpn>3</mpn><instock>Y</instock></product>\n"
        "</products></mywebstore>\n",
        {"new": ("Home > Lamps, Bulbs & More", "Garden &gt; Pots &gt; Clay")},
    ),
    "yandex_market": (
        "yml.xml",
        '<?xml version="1.0" encoding="utf-8"?>\n<yml_catalog date="2026-01-01 10:00"><shop><name>S</name>\n<categories>'
        '<category id="1">Home</category><category id="2" parentId="1">Lamps, Bulbs &amp; More</category>'
        '<category id="3">Garden</category><category id="4" parentId="3">Pots</category>'
        '<category id="5" parentId="4">Clay</category></categories>\n<offers>\n'
        '<offer id="l" available="true"><price>9</price><currencyId>RUR</currencyId><categoryId>{0}</categoryId>'
        "<picture>https://x.test/1.jpg</picture><picture>https://x.test/2.jpg</picture><name>Lamp</name></offer>\n"
        '<offer id="p" available="true"><price>9</price><currencyId>RUR</currencyId><categoryId>{1}</categoryId>'
        '<name>Pot</name><param name="Color">red</param></offer>\n'
        '<offer id="t" available="true"><price>9</price><currencyId>RUR</currencyId><categoryId>{2}</categoryId>'
        "<name>Thing</name></offer>\n</offers></shop></yml_catalog>\n",
        {"old": ("", "1", "3"), "new": ("2", "5")},
    ),
    "hotline": (
        "hotline.xml",
        '<?xml version="1.0" encoding="utf-8"?>\n<price><firmName>K</firmName><categories>'
        "<category><id>1</id><name>Home</name></category>"
        "<category><id>2</id><parentId>1</parentId><name>Lamps, Bulbs &amp; More</name></category>"
        "<category><id>3</id><name>Garden</name></category><category><id>4</id><parentId>3</parentId><name>Pots</name></category>"
        "<category><id>5</id><parentId>4</parentId><name>Clay</name></category></categories>\n<items>\n"
        "<item><id>l</id><categoryId>{0}</categoryId><vendor>K</vendor><name>Lamp</name><priceRUAH>9</priceRUAH></item>\n"
        "<item><id>p</id><categoryId>{1}</categoryId><vendor>K</vendor><name>Pot</name><priceRUAH>9</priceRUAH></item>\n"
        "<item><id>t</id><categoryId>{2}</categoryId><vendor>K</vendor><name>Thing</name><priceRUAH>9</priceRUAH></item>\n"
        "</items></price>\n",
        {"old": ("", "1", "3"), "new": ("2", "5")},
    ),
    "ideasoft": (
        "urunler.xml",
        '<?xml version="1.0" encoding="utf-8"?>\n<products>\n'
        "<product><stockCode>l</stockCode><label>Lamp</label><details>A lamp</details><currencyAbbr>TL</currencyAbbr>"
        "<stockAmount>1</stockAmount><Category>{0}</Category></product>\n"
        "<product><stockCode>p</stockCode><label>Pot</label><details/><currencyAbbr>TL</currencyAbbr>"
        "<stockAmount>1</stockAmount><Category>{1}</Category></product>\n"
        "<product><stockCode>t</stockCode><label>Thing</label><details/><currencyAbbr>TL</currencyAbbr>"
        "<stockAmount>1</stockAmount><Category>{2}</Category></product>\n</products>\n",
        {"new": ("Home &gt; Lamps, Bulbs &amp; More", "Garden &gt; Pots &gt; Clay")},
    ),
    "ceneo": (
        "ceneo.xml",
        "<?xml version='1.0' encoding='utf-8'?>\n<offers>\n"
        '<o id="1" url="https://x.test/1" price="9" avail="1"><cat>{0}</cat><name>Lamp</name><desc>A lamp</desc><imgs>'
        '<main url="https://x.test/1.jpg"/></imgs><attrs><a name="Producent">B</a></attrs></o>\n'
        '<o id="2" url="https://x.test/2" price="9" avail="1"><cat>{1}</cat><name>Pot</name><desc>A pot</desc><imgs/>'
        "<attrs/></o>\n"
        '<o id="3" url="https://x.test/3" price="9" avail="1"><cat>{2}</cat><name>Thing</name><desc>?</desc><imgs/>'
        "<attrs/></o>\n</offers>\n",
        {"new": ("Home/Lamps, Bulbs &amp; More", "Garden/Pots/Clay")},
    ),
    "bigcommerce": (
        "products.csv",
        "Item Type,Product ID,Product Name,Product Type,Product Code/SKU,Product Description,Price,Allow Purchases?,Category,"
        "Product Image File - 1\n"
        "Product,1,Lamp,P,L,A lamp,9,Y,{0},a.jpg\n  SKU,9,[S]Color=Red,,L-r,,,,,\n"
        "Product,2,Pot,P,P,A pot,9,Y,{1},\nProduct,3,Thing,P,T,A thing,9,Y,{2},\n",
        {"old": ("", "Old", "Kept/This"), "new": ('"Home/Lamps, Bulbs & More"', "Garden/Pots/Clay")},
    ),
    "square": (
        "catalog.csv",
        "Token,Item Name,Variation Name,SKU,Description,Category,Price\n"
        "1,Lamp,Red,L-r,A lamp,{0},9\n2,Lamp,Blue,L-b,,{0},9\n3,Pot,Regular,P,A pot,{1},9\n4,Thing,Regular,T,A thing,{2},9\n",
        {"new": ("Lamps", "Pots"), "paths": FLAT},
    ),
    "ecwid": (
        "ecwid.csv",
        "type,product_internal_id,product_sku,product_name,product_price,product_description,product_category_1\n"
        "product,1,L,Lamp,9,A lamp,{0}\nproduct_variation,1,L-r,,9,,\nproduct,2,P,Pot,9,A pot,{1}\n"
        "product,3,T,Thing,9,A thing,{2}\n",
        {"new": ('"Home / Lamps, Bulbs & More"', "Garden / Pots / Clay")},
    ),
    "wildberries": (
        "cards.csv",
        "Номер карточки;Предмет;Бренд;Название;Артикул продавца;Баркод;Описание\n"
        "1;{0};Б;Лампа;l;10;Яркая\n1;{0};Б;Лампа;l;11;Яркая\n2;{1};Б;Горшок;p;12;Глиняный\n3;{2};Б;Вещь;t;13;?\n",
        {"new": ("Лампы", "Горшки"), "paths": (("Лампы",), ("Горшки",)), "encoding": "utf-8-sig"},
    ),
    "magento1": (
        "catalog_product.csv",
        "sku,_store,_attribute_set,_type,_category,name,description{h}\n"
        "l,,Default,simple,{0},Lamp,A lamp{x0}\n,de,,,,Lampe,{v}\n"
        "p,,Default,simple,{1},Pot,A pot{x1}\nt,,Default,simple,{2},Thing,A thing{x2}\n",
        {"old": ("", "Old/This", "Kept"), "new": ('"Home/Lamps, Bulbs & More"', "Garden/Pots/Clay")},
    ),
    "zencart": (
        "Full-EP.csv",
        "v_products_model,v_products_image,v_products_name_1,v_products_description_1,v_categories_name_1\n"
        "L,a.jpg,Lamp,A lamp,{0}\nP,,Pot,A pot,{1}\nT,,Thing,A thing,{2}\n",
        {"new": ('"Home^Lamps, Bulbs & More"', "Garden^Pots^Clay")},
    ),
    "shopware": (
        "products.csv",
        "id;parent_id;product_number;active;name;description;tax_id;manufacturer_name;categories\n"
        "1;;L;1;Lamp;A lamp;t;B;{0}\n2;1;L-r;1;;;t;;\n3;;P;1;Pot;A pot;t;B;{1}\n4;;T;1;Thing;A thing;t;B;{2}\n",
        {"new": ("Home>Lamps, Bulbs & More", "Garden>Pots>Clay")},
    ),
    "heureka": (
        "heureka.xml",
        '<?xml version="1.0" encoding="utf-8"?>\n<SHOP>\n'
        "<SHOPITEM><ITEM_ID>l</ITEM_ID><PRODUCTNAME>Lamp</PRODUCTNAME><CATEGORYTEXT>{0}</CATEGORYTEXT>"
        "<IMGURL>https://x.test/1.jpg</IMGURL></SHOPITEM>\n"
        "<SHOPITEM><ITEM_ID>p</ITEM_ID><PRODUCTNAME>Pot</PRODUCTNAME><CATEGORYTEXT>{1}</CATEGORYTEXT>"
        "<IMGURL>https://x.test/2.jpg</IMGURL></SHOPITEM>\n"
        "<SHOPITEM><ITEM_ID>t</ITEM_ID><PRODUCTNAME>Thing</PRODUCTNAME><CATEGORYTEXT>{2}</CATEGORYTEXT>"
        "<IMGURL>https://x.test/3.jpg</IMGURL></SHOPITEM>\n</SHOP>\n",
        {
            "old": ("Heureka.cz | Old", "", "Heureka.cz | Kept"),
            "new": ("Heureka.cz | Home | Lamps, Bulbs &amp; More", "Heureka.cz | Garden | Pots | Clay"),
        },
    ),
    "prestashop_list": (
        "product.csv",
        "Product ID;Image;Name;Reference;Category;Price (tax excl.){h}\n"
        "1;a.jpg;Lamp;L;{0};9{x0}\n2;;Pot;P;{1};9{x1}\n3;;Thing;T;{2};9{x2}\n",
        {"old": ("Old", "", "Kept"), "new": ("Lamps", "Pots"), "paths": FLAT},
    ),
    "prestashop": (
        "nested.csv",
        "Product ID;Active (0/1);Name *;Categories (x,y,z...);Price tax excluded;Reference #{h}\n"
        "1;1;Lamp;{0};9;L{x0}\n2;1;Pot;{1};9;P{x1}\n3;1;Thing;{2};9;T{x2}\n",
        {
            "old": ("Home,Home office", "", "Home,Kept,This"),
            "new": ("Home,Garden,Pots,Clay", "Home,Toys"),
            "paths": (("Garden", "Pots", "Clay"), ("Toys",)),
        },
    ),
}
