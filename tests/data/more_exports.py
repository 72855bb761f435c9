# ruff: noqa: E501 - rows of exports
"""More small exports in the shape of each platform's: real headers, invented rows."""

from tests.data.exports import Export

WIX = Export(
    "Wix product export",
    "catalog_products.csv",
    "\ufeffhandleId,fieldType,name,description,productImageUrl,collection,sku,ribbon,price,surcharge,visible,"
    "discountMode,discountValue,inventory,weight,productOptionName1,productOptionType1,"
    "productOptionDescription1\n"
    "product_a,Product,Mug,<p>A mug</p>,a.jpg;b.jpg,Mugs;Sale,M,,9,,true,PERCENT,0,InStock,,Size,DROP_DOWN,S;L\n"
    "product_a,Variant,,,,,M-S,,,0,true,,,3,,,,S\n"
    "product_b,Product,Cap,A cap,https://x/c.jpg,Caps,C,,9,,true,PERCENT,0,InStock,,,,\n",
    [
        ("product_a", "Mug", ["Mugs", "Sale"], ["a.jpg", "b.jpg"], {"description": "A mug"}),
        ("product_b", "Cap", ["Caps"], ["https://x/c.jpg"], {}),
    ],
    [0, 0, 1],
)
SQUARESPACE = Export(
    "Squarespace product export",
    "products_squarespace.csv",
    "Product ID [Non Editable],Variant ID [Non Editable],Product Type [Non Editable],Product Page,Product URL,"
    "Title,Description,SKU,Option Name 1,Option Value 1,Price,Sale Price,On Sale,Stock,Categories,Tags,Weight,"
    "Visible,Hosted Image URLs\n"
    "5f1,v1,PHYSICAL,shop,tee,Tee,A tee,T-S,Size,S,9,0,No,3,/clothing/tees,,1,Yes,https://x/a.jpg https://x/b.jpg\n"
    ",v2,,,,,,T-M,,M,9,0,No,3,,,1,,\n"
    "5f2,v3,PHYSICAL,shop,cap,Cap,A cap,C,,,9,0,No,3,/hats,,1,Yes,\n",
    [
        ("5f1", "Tee", ["clothing > tees"], ["https://x/a.jpg", "https://x/b.jpg"], {"Size": "S, M"}),
        ("5f2", "Cap", ["hats"], [], {}),
    ],
    [0, 0, 1],
)
BIGCOMMERCE = Export(
    "BigCommerce product export",
    "bigcommerce.csv",
    "Item Type,Product ID,Product Name,Product Type,Product Code/SKU,Brand Name,Option Set,Product Description,"
    "Price,Product Weight,Allow Purchases?,Category,Product Image ID - 1,Product Image File - 1,"
    "Product Image ID - 2,Product Image File - 2\n"
    "Product,7,Tee,P,T,B,Sizes,A tee,9,1,Y,Clothing/Tees;Sale,1,a.jpg,2,b.jpg\n"
    "  SKU,21,[S]Size=S,,T-S,,,,,,,,,,,\n"
    "Product,8,Cap,P,C,B,,A cap,9,1,Y,Hats,3,c.jpg,,\n",
    [
        ("7", "Tee", ["Clothing > Tees", "Sale"], ["a.jpg", "b.jpg"], {"Brand Name": "B"}),
        ("8", "Cap", ["Hats"], ["c.jpg"], {}),
    ],
    [0, 0, 1],
)
SQUARE = Export(
    "Square item library",
    "catalog.csv",
    "Token,Item Name,Variation Name,SKU,Description,Category,GTIN,Square Online Item Visibility,Weight (lb),"
    "Price,Sellable,Stockable,Option Name 1,Option Value 1,Current Quantity Shop,Tax - Sales (6%)\n"
    "T1,Tee,Red,T-R,A tee,Tees,,visible,1,9,Y,Y,Color,Red,3,Y\n"
    "T2,Tee,Blue,T-B,,Tees,,visible,1,9,Y,Y,Color,Blue,3,Y\n"
    "T3,Cap,Regular,C,A cap,Hats,,visible,1,9,Y,Y,,,3,Y\n",
    [("T-R", "Tee", ["Tees"], [], {"Color": "Red, Blue"}), ("C", "Cap", ["Hats"], [], {})],
    [0, 0, 1],
)
ECWID = Export(
    "Ecwid product export",
    "ecwid.csv",
    "type,product_internal_id,product_sku,product_name,product_price,product_media_main_image_url,"
    "product_media_gallery_image_url_1,product_description,product_brand,product_category_1,product_is_available\n"
    "product,11,T,Tee,9,https://x/a.jpg,https://x/b.jpg,A tee,B,Clothing / Tees,true\n"
    "product_variation,11,T-S,,9,,,,,,\n"
    "product,12,C,Cap,9,,,A cap,B,Hats,true\n",
    [
        ("T", "Tee", ["Clothing > Tees"], ["https://x/a.jpg", "https://x/b.jpg"], {"product_brand": "B"}),
        ("C", "Cap", ["Hats"], [], {}),
    ],
    [0, 0, 1],
)
WILDBERRIES = Export(
    "Wildberries product cards",
    "cards.csv",
    "\ufeffНомер карточки;Предмет;Цвет;Бренд;Пол;Название;Артикул продавца;Артикул WB;Размер;Рос. размер;Баркод;"
    "Розничная цена;Состав;Описание;Медиафайлы\n"
    "1;Футболки;красный;Б;Женский;Футболка;t-1;901;S;42;20;100;хлопок;Тёплая;https://x/a.jpg;\n"
    "1;Футболки;красный;Б;Женский;Футболка;t-1;901;M;44;21;100;хлопок;Тёплая;https://x/a.jpg;\n"
    '2;Кепки;синий;Б;;Кепка;c-1;902;0;;22;100;хлопок;Лёгкая;"https://x/c.jpg;https://x/d.jpg"\n',
    [
        ("t-1", "Футболка", ["Футболки"], ["https://x/a.jpg"], {"Цвет": "красный", "Состав": "хлопок"}),
        ("c-1", "Кепка", ["Кепки"], ["https://x/c.jpg", "https://x/d.jpg"], {}),
    ],
    [0, 0, 1],
)
MAGENTO1 = Export(
    "Magento 1 product export",
    "catalog_product_1.csv",
    '"sku","_store","_attribute_set","_type","_category","_root_category","_product_websites","color","description",'
    '"image","name","price","status","weight","_media_attribute_id","_media_image","_media_position"\n'
    '"T",,"Default","simple","Clothing/Tees","Default Category","base","Red","A tee","/t/a.jpg","Tee","9","1","1",'
    '"88","/t/a.jpg","1"\n'
    ',,,,"Sale","Default Category",,,,,,,,,"88","/t/b.jpg","2"\n'
    '"C",,"Default","simple","Hats","Default Category","base","Blue","A cap","/c/c.jpg","Cap","9","1","1",,,\n',
    [
        ("T", "Tee", ["Clothing > Tees", "Sale"], ["t/a.jpg", "t/b.jpg"], {"color": "Red"}),
        ("C", "Cap", ["Hats"], ["c/c.jpg"], {}),
    ],
    [0, 0, 1],
)
ZENCART = Export(
    "Easy Populate product export",
    "Full-EP.csv",
    "v_products_model,v_products_type,v_products_image,v_products_name_1,v_products_description_1,"
    "v_products_url_1,v_products_price,v_products_weight,v_manufacturers_name,v_products_quantity,"
    "v_categories_name_1,v_status\n"
    "T,1,tees/a.jpg,Tee,A tee,,9,1,B,5,Clothing^Tees,1\nC,1,,Cap,A cap,,9,1,B,5,Hats,1\n",
    [
        ("T", "Tee", ["Clothing > Tees"], ["tees/a.jpg"], {"v_manufacturers_name": "B"}),
        ("C", "Cap", ["Hats"], [], {}),
    ],
    [0, 1],
)
SHOPWARE = Export(
    "Shopware product export",
    "Default_product.csv",
    "id;parent_id;product_number;active;stock;name;description;price_net;price_gross;tax_id;cover_media_url;"
    "manufacturer_name;categories;sales_channel\n"
    "a1;;SW1;1;3;Tee;A tee;8;9;t;https://x/a.jpg;B;Clothing>Tees|Sale;s\n"
    "a2;a1;SW1.1;1;3;;;8;9;t;;;;\nb1;;SW2;1;3;Cap;A cap;8;9;t;;B;Hats;s\n",
    [
        ("SW1", "Tee", ["Clothing > Tees", "Sale"], ["https://x/a.jpg"], {"manufacturer_name": "B"}),
        ("SW2", "Cap", ["Hats"], [], {}),
    ],
    [0, 0, 1],
)
HEUREKA = Export(
    "Heureka feed",
    "heureka.xml",
    '<?xml version="1.0" encoding="utf-8"?>\n<SHOP>\n'
    "<SHOPITEM><ITEM_ID>T</ITEM_ID><PRODUCTNAME>Tričko</PRODUCTNAME><DESCRIPTION>Teplé</DESCRIPTION>"
    "<URL>https://x/t</URL><IMGURL>https://x/a.jpg</IMGURL><IMGURL_ALTERNATIVE>https://x/b.jpg</IMGURL_ALTERNATIVE>"
    "<PRICE_VAT>9</PRICE_VAT><CATEGORYTEXT>Heureka.cz | Oblečení | Trička</CATEGORYTEXT></SHOPITEM>\n"
    "<SHOPITEM><ITEM_ID>C</ITEM_ID><PRODUCTNAME>Čepice</PRODUCTNAME><DESCRIPTION>Modrá</DESCRIPTION>"
    "<URL>https://x/c</URL><IMGURL>https://x/c.jpg</IMGURL><PRICE_VAT>9</PRICE_VAT>"
    "<CATEGORYTEXT>Heureka.cz | Čepice</CATEGORYTEXT></SHOPITEM>\n</SHOP>\n",
    [
        (
            "T",
            "Tričko",
            ["Oblečení > Trička"],
            ["https://x/a.jpg", "https://x/b.jpg"],
            {"description": "Teplé"},
        ),
        ("C", "Čepice", ["Čepice"], ["https://x/c.jpg"], {}),
    ],
    [0, 1],
)
PRESTASHOP_LIST = Export(
    "PrestaShop product list",
    "product_2025.csv",
    '"Product ID";"Image";"Name";"Reference";"Category";"Price (tax excl.)";"Price (tax incl.)";"Quantity";"Status"\n'
    '"1";"https://x/a.jpg";"Tee";"demo_1";"Men";"9";"10";"3";"1"\n'
    '"2";"https://x/b.jpg";"Cap";"demo_2";"Hats, Caps";"9";"10";"3";"1"\n',
    [
        ("1", "Tee", ["Men"], ["https://x/a.jpg"], {"Reference": "demo_1"}),
        ("2", "Cap", ["Hats, Caps"], ["https://x/b.jpg"], {}),
    ],
    [0, 1],
)
PRESTASHOP_NESTED = Export(
    "PrestaShop product export",
    "products_import.csv",
    "Product ID;Active (0/1);Name *;Categories (x,y,z...);Price tax excluded;Reference #;Description\n"
    "1;1;Tee;Home,Clothes,Men;9;T;A tee\n2;1;Skirt;Home,Clothes,Women;9;S;A skirt\n"
    "3;1;Cup;Home,Accessories;9;C;A cup\n",
    [
        ("1", "Tee", ["Clothes > Men"], [], {}),
        ("2", "Skirt", ["Clothes > Women"], [], {}),
        ("3", "Cup", ["Accessories"], [], {}),
    ],
    [0, 1, 2],
)
WOOCOMMERCE_IT = Export(
    "WooCommerce product export",
    "wc-product-export-it.csv",
    'ID,Tipo,COD,Nome,Pubblicato,"In primo piano?","Visibilità nel catalogo","Breve descrizione",Descrizione,'
    '"Stato delle imposte","Prezzo di listino",Categorie,Etichette,"Classe di spedizione",Immagine,Genitore,'
    '"Prodotti raggruppati","Attributo 1 nome","Attributo 1 valuta(e)","Attributo 1 visibile"\n'
    '1,variable,M,Maglia,1,0,visible,,Calda,taxable,9,Abiti > Maglie,,,"https://x/a.jpg, https://x/b.jpg",,,'
    'Colore,"Rosso, Blu",1\n'
    "2,variation,M-r,Maglia - Rosso,1,0,visible,,,taxable,9,,,,,M,,Colore,Rosso,\n",
    [("1", "Maglia", ["Abiti > Maglie"], ["https://x/a.jpg", "https://x/b.jpg"], {"Colore": "Rosso, Blu"})],
    [0, 0],
)
WOOCOMMERCE_NL = Export(
    "WooCommerce product export",
    "wc-product-export-nl.csv",
    'ID,Type,SKU,Naam,Gepubliceerd,Uitgelicht?,"Zichtbaarheid in catalogus","Korte omschrijving",Beschrijving,'
    '"Reguliere prijs",Categorieën,Tags,Afbeeldingen,Hoofd,"Gegroepeerde producten","Naam eigenschap 1",'
    '"Waarde eigenschap 1","Zichtbare eigenschap 1"\n'
    "1,variable,T,Trui,1,0,visible,,Warm,9,Kleding > Truien,,https://x/a.jpg,,,Kleur,Rood,1\n"
    "2,variation,T-r,Trui - Rood,1,0,visible,,,9,,,,id:1,,Kleur,Rood,\n",
    [("1", "Trui", ["Kleding > Truien"], ["https://x/a.jpg"], {"Kleur": "Rood"})],
    [0, 0],
)
WOOCOMMERCE_TR = Export(
    "WooCommerce product export",
    "wc-product-export-tr.csv",
    'Kimlik,Tür,"Stok kodu (SKU)",İsim,Yayımlanmış,"Öne çıkan?","Katalogda görünürlük","Kısa açıklama",Açıklama,'
    '"Vergi durumu","Normal fiyat",Kategoriler,Etiketler,Görseller,Ebeveyn,"Gruplanmış ürünler"\n'
    "7,simple,T,Tişört,1,0,visible,,Sıcak,taxable,9,Giyim > Tişört,,https://x/a.jpg,,\n",
    [("7", "Tişört", ["Giyim > Tişört"], ["https://x/a.jpg"], {"description": "Sıcak"})],
    [0],
)
LOYVERSE = Export(
    "Loyverse item list",
    "export_items.csv",
    "Handle,REF,Nombre,Categoria,Descripción,Vendido por peso,Opción 1 nombre,Opción 1 valor,Coste,Codigo de barras,"
    "Seguir el Inventario,Precio [Tienda],En inventario [Tienda]\n"
    "taza,1,Taza,Tazas,Una taza,N,Color,Rojo,1,,N,9,\ntaza,2,,,,,,Azul,1,,N,9,\npan,3,Pan,Panes,,N,,,1,,N,9,\n",
    [("taza", "Taza", ["Tazas"], [], {"Color": "Rojo, Azul"}), ("pan", "Pan", ["Panes"], [], {})],
    [0, 0, 1],
)
LIGHTSPEED = Export(
    "Lightspeed Retail product export",
    "product-export.csv",
    "id,handle,sku,name,description,product_category,variant_option_one_name,variant_option_one_value,tags,supply_price,"
    "retail_price,brand_name,supplier_name,active,image_url\n"
    "1,tee,T-r,Tee,A tee,Clothing / Tees,Color,Red,,1,9,B,,1,https://x/a.jpg\n"
    "2,tee,T-b,Tee,A tee,Clothing / Tees,Color,Blue,,1,9,B,,1,https://x/b.jpg\n"
    "3,cap,C,Cap,A cap,Hats,,,,1,9,B,,1,\n",
    [
        ("1", "Tee", ["Clothing > Tees"], ["https://x/a.jpg", "https://x/b.jpg"], {"brand_name": "B"}),
        ("3", "Cap", ["Hats"], [], {}),
    ],
    [0, 0, 1],
)
TRENDYOL = Export(
    "Trendyol product list",
    "urunler.csv",
    "Barkod;Model Kodu;Marka;Kategori;Ürün Adı;Ürün Açıklaması;Trendyol'da Satılacak Fiyat;Stok Kodu;Ürün Rengi;Beden;"
    "Görsel 1;Görsel 2\n"
    "1;T;B;Tişört;Pamuk tişört;Yumuşak;9;T-s;Mavi;S;https://x/a.jpg;https://x/b.jpg\n"
    "2;T;B;Tişört;Pamuk tişört;Yumuşak;9;T-m;Mavi;M;https://x/a.jpg;\n3;C;B;Şapka;Yün şapka;Sıcak;9;C;Siyah;;;\n",
    [
        ("T-s", "Pamuk tişört", ["Tişört"], ["https://x/a.jpg", "https://x/b.jpg"], {"Beden": "S, M"}),
        ("C", "Yün şapka", ["Şapka"], [], {"Ürün Rengi": "Siyah"}),
    ],
    [0, 0, 1],
)
MEDUSA = Export(
    "Medusa product export",
    "medusa.csv",
    "Product Id,Product Handle,Product Title,Product Description,Product Status,Product Thumbnail,Product Type Id,"
    "Product Collection Id,Variant Id,Variant Title,Variant SKU,Variant Option 1 Name,Variant Option 1 Value,Product Image 1 Url\n"
    ",tee,Tee,A tee,published,https://x/a.jpg,Shirts,,,S,T-s,Size,S,https://x/b.jpg\n"
    ",tee,Tee,A tee,published,https://x/a.jpg,Shirts,,,M,T-m,Size,M,https://x/b.jpg\n"
    ",cap,Cap,A cap,published,,Hats,,,One,C,,,\n",
    [
        ("tee", "Tee", ["Shirts"], ["https://x/b.jpg", "https://x/a.jpg"], {"Size": "S, M"}),
        ("cap", "Cap", ["Hats"], [], {}),
    ],
    [0, 0, 1],
)
EBAY = Export(
    "eBay listings",
    "ebay.csv",
    "Action(SiteID=US|Country=US|Currency=USD|Version=1193),Custom label (SKU),Category ID,Category name,Title,UPC,Price,"
    "Quantity,Item photo URL,Condition ID,Description,Format\n"
    "Add,T,7,/Clothing/Tees,Tee,,9,1,https://x/a.jpg|https://x/b.jpg,1000,A tee,FixedPrice\n"
    "Add,C,8,/Hats,Cap,,9,1,,1000,A cap,FixedPrice\n",
    [
        ("T", "Tee", ["Clothing > Tees"], ["https://x/a.jpg", "https://x/b.jpg"], {}),
        ("C", "Cap", ["Hats"], [], {"description": "A cap"}),
    ],
    [0, 1],
)
YANDEX_MARKET = Export(
    "Yandex Market feed (YML)",
    "yml.xml",
    '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE yml_catalog SYSTEM "shops.dtd">\n'
    '<yml_catalog date="2026-01-01 10:00"><shop><name>S</name><categories><category id="1">Одежда</category>'
    '<category id="2" parentId="1">Футболки</category></categories><offers>\n'
    '<offer id="7" group_id="g" available="true"><url>https://x/7</url><price>9</price><currencyId>RUR</currencyId>'
    "<categoryId>2</categoryId><picture>https://x/a.jpg</picture><picture>https://x/b.jpg</picture><name>Футболка</name>"
    '<param name="Цвет">синий</param><param name="Размер">S</param></offer>\n'
    '<offer id="8" group_id="g" available="true"><url>https://x/8</url><price>9</price><currencyId>RUR</currencyId>'
    '<categoryId>2</categoryId><name>Футболка</name><param name="Размер">M</param></offer>\n'
    "</offers></shop></yml_catalog>\n",
    [("7", "Футболка", ["Футболки"], ["https://x/a.jpg", "https://x/b.jpg"], {"Размер": "S, M"})],
    [0, 0],
)
SALESFORCE = Export(
    "Salesforce Commerce Cloud catalog",
    "storefront.xml",
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<catalog xmlns="http://www.demandware.com/xml/impex/catalog/2006-10-31" catalog-id="shop">\n'
    '<product product-id="T"><ean/><display-name xml:lang="x-default">Tee</display-name>'
    '<long-description xml:lang="x-default">A tee</long-description><online-flag>true</online-flag><images>'
    '<image-group view-type="large"><image path="large/a.jpg"/><image path="large/b.jpg"/></image-group>'
    '<image-group view-type="large"><variation attribute-id="color" value="red"/><image path="large/c.jpg"/></image-group>'
    '<image-group view-type="small"><image path="small/a.jpg"/></image-group></images><brand>B</brand>'
    '<classification-category catalog-id="shop">tees</classification-category></product>\n'
    '<product product-id="C"><display-name xml:lang="x-default">Cap</display-name><online-flag>true</online-flag>'
    '<classification-category catalog-id="shop">hats</classification-category></product>\n</catalog>\n',
    [
        ("T", "Tee", ["tees"], ["large/a.jpg", "large/b.jpg", "large/c.jpg"], {"brand": "B"}),
        ("C", "Cap", ["hats"], [], {}),
    ],
    [0, 1],
)
SKROUTZ = Export(
    "Skroutz feed",
    "skroutz.xml",
    '<?xml version="1.0" encoding="UTF-8" ?><mywebstore><created_at>2026-01-01 10:00</created_at><products>\n'
    '<product><UniqueID>7</UniqueID><name><![CDATA[TV 43" LED]]></name><link><![CDATA[https://x/7]]></link>'
    "<image><![CDATA[https://x/a.jpg]]></image><additionalimage><![CDATA[https://x/b.jpg]]></additionalimage>"
    '<category id="846"><![CDATA[Εικόνα > Τηλεοράσεις]]></category><price_with_vat>9</price_with_vat>'
    "<manufacturer>B</manufacturer><mpn>U43</mpn><instock>Y</instock><availability>Άμεσα</availability></product>\n"
    "<product><UniqueID>8</UniqueID><name>LEGO</name><link>https://x/8</link><image>https://x/c.jpg</image>"
    '<category id="952">Παιχνίδια</category><price_with_vat>9</price_with_vat><manufacturer/><mpn>3</mpn>'
    "<instock>Y</instock><availability>Άμεσα</availability></product>\n</products></mywebstore>\n",
    [
        ("7", 'TV 43" LED', ["Εικόνα > Τηλεοράσεις"], ["https://x/a.jpg", "https://x/b.jpg"], {"mpn": "U43"}),
        ("8", "LEGO", ["Παιχνίδια"], ["https://x/c.jpg"], {}),
    ],
    [0, 1],
)
WOOCOMMERCE_TABLE = Export(
    "WooCommerce products (API)",
    "woocommerce_products.csv",
    "id,name,sku,type,status,price,regular_price,sale_price,stock_quantity,main_image,all_images,categories,tags,"
    "description,short_description,permalink\n"
    "1,Set,S,variable,publish,9,,,,https://x/a.webp,https://x/a.webp; https://x/b.webp,Boys; Sets,,Warm,,https://x/1\n"
    "2,Tee,T,variable,publish,9,,,,https://x/c.webp,https://x/c.webp,Boys; Tees,,Soft,,https://x/2\n"
    "3,Cup,C,simple,publish,9,,,,,,Home,,,,https://x/3\n",
    [
        ("1", "Set", ["Boys > Sets"], ["https://x/a.webp", "https://x/b.webp"], {"description": "Warm"}),
        ("2", "Tee", ["Boys > Tees"], ["https://x/c.webp"], {}),
        ("3", "Cup", ["Home"], [], {}),
    ],
    [0, 1, 2],
)
CENEO = Export(
    "Ceneo feed",
    "ceneo.xml",
    "<?xml version='1.0' encoding='utf-8'?>\n<offers>\n"
    '<o id="544" url="https://x/544" price="6.6" avail="1" stock="427" basket="1"><cat>Kable/VGA</cat><name>Przewód</name>'
    '<desc>Nowy</desc><imgs><main url="https://x/a.jpg"/><i url="https://x/b.jpg"/></imgs>'
    '<attrs><a name="Producent">LENOVO</a><a name="SKU">64</a></attrs></o>\n'
    '<o id="566" url="https://x/566" price="75" avail="99"><cat>Obudowy, ramki i zaślepki</cat><name>Ramka</name>'
    '<desc>Nowa</desc><imgs><main url="https://x/c.jpg"/></imgs><attrs><a name="SKU">7B</a></attrs></o>\n</offers>\n',
    [
        (
            "544",
            "Przewód",
            ["Kable > VGA"],
            ["https://x/a.jpg", "https://x/b.jpg"],
            {"Producent": "LENOVO", "SKU": "64"},
        ),
        ("566", "Ramka", ["Obudowy, ramki i zaślepki"], ["https://x/c.jpg"], {"SKU": "7B"}),
    ],
    [0, 1],
)
HOTLINE = Export(
    "Hotline price list",
    "hotline.xml",
    '<?xml version="1.0" encoding="UTF-8"?>\n<price><date>2026-01-01 13:00</date><firmName>K</firmName>\n<categories>'
    "<category><id>1</id><name>Спорт</name></category>"
    "<category><id>2</id><parentId>1</parentId><name>Лавки</name></category>"
    "<category><id>3</id><name>Ігри</name></category></categories>\n<items>\n"
    "<item><id>b1</id><categoryId>2</categoryId><vendor>K</vendor><name>Лавка</name><description>Складна</description>"
    "<url>https://x/1</url><image>https://x/a.jpg</image><priceRUAH>9</priceRUAH><stock>В наявності</stock></item>\n"
    "<item><id>m1</id><categoryId>3</categoryId><vendor>K</vendor><name>М'яч</name><url>https://x/2</url>"
    "<priceRUAH>9</priceRUAH></item>\n</items></price>\n",
    [
        ("b1", "Лавка", ["Спорт > Лавки"], ["https://x/a.jpg"], {"vendor": "K"}),
        ("m1", "М'яч", ["Ігри"], [], {}),
    ],
    [0, 1],
)
IDEASOFT = Export(
    "IdeaSoft product feed",
    "urunler.xml",
    '<?xml version="1.0" encoding="UTF-8"?>\n<products>\n'
    "<product><Barcode>67</Barcode><stockCode>K1</stockCode><label>Kravat</label><details>Siyah</details>"
    "<Fiyat>9,5</Fiyat><currencyAbbr>TL</currencyAbbr><stockAmount>7</stockAmount>"
    "<Category>Aksesuar &gt; Kravat</Category><Resim1>https://x/a.jpg</Resim1><Resim2>https://x/b.jpg</Resim2></product>\n"
    "<product><Barcode>68</Barcode><stockCode>B1</stockCode><label>Bardak</label><details/><Fiyat>4</Fiyat>"
    "<currencyAbbr>TL</currencyAbbr><stockAmount>2</stockAmount><Category>Mutfak</Category><Resim1/></product>\n</products>\n",
    [
        ("K1", "Kravat", ["Aksesuar > Kravat"], ["https://x/a.jpg", "https://x/b.jpg"], {"Fiyat": "9,5"}),
        ("B1", "Bardak", ["Mutfak"], [], {}),
    ],
    [0, 1],
)
PROM = Export(
    "Prom product export",
    "prom.csv",
    "Код_товара,Название_позиции,Поисковые_запросы,Описание,Тип_товара,Цена,Валюта,Единица_измерения,"
    "Ссылка_изображения,Наличие,Номер_группы,Название_группы,Уникальный_идентификатор,Производитель\n"
    'T-1,Футболка,"футболка, хлопок",Из хлопка,r,9,UAH,шт.,"https://x/a.jpg, https://x/b.jpg",+,77,Футболки,1001,B\n'
    "C-1,Кепка,,,r,5,UAH,шт.,,+,78,Головные уборы,1002,\n",
    [
        ("1001", "Футболка", ["Футболки"], ["https://x/a.jpg", "https://x/b.jpg"], {"Производитель": "B"}),
        ("1002", "Кепка", ["Головные уборы"], [], {}),
    ],
    [0, 1],
)
CSCART = Export(
    "CS-Cart product export",
    "cscart.csv",
    '"Product code";"Language";"Category";"List price";"Price";"Product name";"Description";"Detailed image"\n'
    '"T-1";"en";"Clothing///Tees";"0.00";"9.00";"Tee";"A tee";"exim/a.jpg"\n'
    '"C-1";"en";"Hats";"0.00";"5.00";"Cap";"";""\n',
    [("T-1", "Tee", ["Clothing > Tees"], ["exim/a.jpg"], {}), ("C-1", "Cap", ["Hats"], [], {})],
    [0, 1],
)
EXPORTS = [value for value in list(globals().values()) if isinstance(value, Export)]
