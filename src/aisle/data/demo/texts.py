"""Titles and descriptions in four languages, with the flaws of sellers' texts.

Phrases need not agree with the noun in gender or number, so any noun fits any phrase.
"""

import html
import html.entities
import random
from typing import NamedTuple

COLOUR_NAMES: dict[str, dict[str, str]] = {
    "black": {"de": "Schwarz", "fr": "noir", "es": "negro"},
    "white": {"de": "Weiß", "fr": "blanc", "es": "blanco"},
    "grey": {"de": "Grau", "fr": "gris", "es": "gris"},
    "blue": {"de": "Blau", "fr": "bleu", "es": "azul"},
    "red": {"de": "Rot", "fr": "rouge", "es": "rojo"},
    "green": {"de": "Grün", "fr": "vert", "es": "verde"},
    "yellow": {"de": "Gelb", "fr": "jaune", "es": "amarillo"},
    "pink": {"de": "Rosa", "fr": "rose", "es": "rosa"},
    "brown": {"de": "Braun", "fr": "marron", "es": "marrón"},
    "beige": {"de": "Beige", "fr": "beige", "es": "beige"},
    "purple": {"de": "Lila", "fr": "violet", "es": "morado"},
    "orange": {"de": "Orange", "fr": "orange", "es": "naranja"},
    "turquoise": {"de": "Türkis", "fr": "turquoise", "es": "turquesa"},
}


class Grammar(NamedTuple):
    """One language's phrases, alternatives separated by |; `{slots}` are filled by `compose`."""

    coloured: str
    titles: str
    condition: str
    swap: str
    promo: str
    opening: str
    middle: str
    closing: str
    other: str


GRAMMARS = {
    "en": Grammar(
        coloured="{colour} {noun}|{noun} in {colour}",
        titles="{brand} {coloured}|{noun} {detail}|{coloured}, {detail}|{brand} {noun}, {condition}"
        "|{condition}: {coloured}|{noun} by {brand} {detail}|{coloured} - {condition} - {detail}|{noun}",
        condition="like new|hardly used|good condition|brand new|second hand|lightly used|a few marks"
        "|unwanted gift",
        swap="swap for {other} possible|free {other} with it|or trade for {other}|not the {other}",
        promo="SALE|BARGAIN|free shipping|top seller|must go|last one|limited",
        opening="For sale: {noun}, {condition}.|I am selling {coloured}.|Offering {noun} by {brand}."
        "|{noun}, {detail}, {condition}.|Here comes: {noun}.",
        middle="{condition}, {detail}.|Colour: {colour}.|{brand}, {detail}.|See pictures.|Bought in {year}.",
        closing="Smoke-free home.|Collection or post.|No returns.|Price is negotiable.|Questions? Just write."
        "|Sent within two days.|We are moving and it has to go.|Cash on collection, please.",
        other="Have a look at my other items: {other}, {other}.|Goes well with {other}."
        "|Also available: {other}.",
    ),
    "de": Grammar(
        coloured="{noun} in {colour}|{noun} {colour}|{noun}, Farbe {colour}",
        titles="{brand} {coloured}|{noun} {detail}|{coloured}, {detail}|{brand} {noun}, {condition}"
        "|{condition}: {coloured}|{noun} von {brand} {detail}|{coloured} - {condition}|{noun}",
        condition="wie neu|kaum benutzt|guter Zustand|neu und ungenutzt|gebraucht|top Zustand"
        "|mit Gebrauchsspuren",
        swap="Tausch gegen {other} möglich|{other} gratis dazu|auch Tausch: {other}|ohne {other}",
        promo="ANGEBOT|SCHNÄPPCHEN|Versand gratis|nur heute|muss weg|letztes Stück|Rarität",
        opening="Verkaufe {noun}, {condition}.|Biete hier {coloured}.|Zum Verkauf: {noun} von {brand}."
        "|{noun}, {detail}, {condition}.|Hier: {noun}.",
        middle="{condition}, {detail}.|Farbe: {colour}.|{brand}, {detail}.|Siehe Fotos.|Gekauft {year}.",
        closing="Tierfreier Nichtraucherhaushalt.|Abholung oder Versand.|Keine Rücknahme, Privatverkauf.|VB."
        "|Bei Fragen einfach schreiben.|Versand in zwei Tagen.|Wegen Umzug abzugeben."
        "|Barzahlung bei Abholung.",
        other="Schaut auch meine anderen Anzeigen an: {other}, {other}.|Passt gut zu {other}."
        "|Auch da: {other}.",
    ),
    "fr": Grammar(
        coloured="{noun} coloris {colour}|{noun} couleur {colour}|{noun} {colour}",
        titles="{brand} {coloured}|{noun} {detail}|{coloured}, {detail}|{brand} {noun}, {condition}"
        "|{condition} : {coloured}|{noun} de {brand} {detail}|{coloured} - {condition}|{noun}",
        condition="comme neuf|très peu servi|bon état|état neuf|occasion|excellent état"
        "|quelques traces d'usage",
        swap="échange contre {other} possible|{other} offert en plus|ou échange : {other}|sans {other}",
        promo="PROMO|BONNE AFFAIRE|livraison gratuite|à saisir|vente rapide|dernière pièce|rare",
        opening="Je vends : {noun}, {condition}.|Proposé ici : {coloured}.|À vendre : {noun} de {brand}."
        "|{noun}, {detail}, {condition}.|Ici : {noun}.",
        middle="{condition}, {detail}.|Couleur : {colour}.|{brand}, {detail}.|Voir photos.|Acheté en {year}.",
        closing="Maison non-fumeur.|Remise en main propre ou envoi.|Ni repris ni échangé.|Prix à débattre."
        "|N'hésitez pas à me contacter.|Envoi sous deux jours.|Cause déménagement.|Paiement en espèces.",
        other="Voyez aussi mes autres annonces : {other}, {other}.|Va bien avec {other}."
        "|En vente aussi : {other}.",
    ),
    "es": Grammar(
        coloured="{noun} color {colour}|{noun} en {colour}|{noun} ({colour})",
        titles="{brand} {coloured}|{noun} {detail}|{coloured}, {detail}|{brand} {noun}, {condition}"
        "|{condition}: {coloured}|{noun} de {brand} {detail}|{coloured} - {condition}|{noun}",
        condition="como nuevo|apenas usado|buen estado|sin estrenar|segunda mano|perfecto estado"
        "|con señales de uso",
        swap="cambio por {other}|{other} de regalo|también cambio: {other}|sin {other}",
        promo="OFERTA|CHOLLO|envío gratis|solo hoy|urge vender|última unidad|rebajado",
        opening="Se vende: {noun}, {condition}.|Vendo {coloured}.|A la venta: {noun} de {brand}."
        "|{noun}, {detail}, {condition}.|Aquí: {noun}.",
        middle="{condition}, {detail}.|Color: {colour}.|{brand}, {detail}.|Ver fotos.|Comprado en {year}.",
        closing="Casa sin humo.|Recogida o envío.|No se admiten devoluciones.|Precio negociable."
        "|Cualquier duda, escríbeme.|Envío en dos días.|Por mudanza.|Pago en efectivo.",
        other="Mira mis otros anuncios: {other}, {other}.|Queda bien con {other}.|También vendo: {other}.",
    ),
}
EMOJI = ("🔥", "✨", "❤️", "👍", "🌸", "‼️", "✅", "🎁")


class Facts(NamedTuple):
    """The text of one listing in one language; `others` are names of other products."""

    language: str
    noun: str
    details: tuple[str, ...]
    brand: str
    colour: str
    others: tuple[str, ...]

    def slots(self, rng: random.Random) -> dict[str, str]:
        """Values of the slots of all phrases about this item, so that its texts are consistent."""
        return {
            "noun": self.noun,
            "brand": self.brand,
            "colour": COLOUR_NAMES[self.colour].get(self.language, self.colour),
            "condition": _one(GRAMMARS[self.language].condition, rng),
            "year": str(rng.randint(2015, 2024)),
        }


def write(facts: Facts, rng: random.Random) -> tuple[str, str]:
    """Title and description."""
    slots = facts.slots(rng)
    return _title(facts, slots, rng), _description(facts, slots, rng)


def _title(facts: Facts, slots: dict[str, str], rng: random.Random) -> str:
    """A title with optional promotion, swap offer, typing errors, capitals and emoji."""
    grammar = GRAMMARS[facts.language]
    title = _fill(_one(grammar.titles, rng), facts, slots, rng)
    if rng.random() < 0.08:
        title = f"{title} ({_fill(_one(grammar.swap, rng), facts, slots, rng)})"
    if rng.random() < 0.18:
        promo = _one(grammar.promo, rng)
        title = rng.choice([f"{promo}! {title}", f"*{promo}* {title}", f"{title} - {promo}"])
    for _ in range(rng.choices([0, 1, 2], weights=(80, 15, 5))[0]):
        title = mistype(title, rng)
    style = rng.random()
    if style < 0.08:
        title = title.upper()
    elif style < 0.28:
        title = title.lower()
    elif style < 0.8:
        title = title[:1].upper() + title[1:]
    if rng.random() < 0.1:
        emoji = rng.choice(EMOJI)
        title = rng.choice([f"{emoji} {title}", f"{title} {emoji}", f"{emoji * 2}{title}{emoji * 2}"])
    return _entities(title) if rng.random() < 0.06 else title


def _description(facts: Facts, slots: dict[str, str], rng: random.Random) -> str:
    """A few sentences; empty for 30 % of the products."""
    if rng.random() < 0.3:
        return ""
    grammar = GRAMMARS[facts.language]
    sentences = [_one(grammar.opening, rng)] if rng.random() < 0.7 else []
    sentences += rng.sample(grammar.middle.split("|"), rng.randint(0, 2))
    if rng.random() < 0.16:
        sentences.append(_one(grammar.other, rng))
    sentences += rng.sample(grammar.closing.split("|"), rng.randint(1, 3))
    filled = [_fill(sentence, facts, slots, rng) for sentence in sentences]
    filled = [sentence[:1].upper() + sentence[1:] for sentence in filled]
    filled = [mistype(sentence, rng) if rng.random() < 0.08 else sentence for sentence in filled]
    layout = rng.random()
    if layout < 0.08:
        return "<p>" + "</p><p>".join(_entities(sentence) for sentence in filled) + "</p>"
    return ("\n" if layout < 0.16 else " ").join(filled)


def mistype(text: str, rng: random.Random) -> str:
    """One typing error in a longer word: two letters swapped, one lost, one doubled, or accents removed."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    at = rng.choice(long)
    word, spot = words[at], rng.randrange(1, len(words[at]) - 1)
    before, letter, after = word[:spot], word[spot], word[spot + 1 :]
    match rng.randrange(4):
        case 0:
            word = before + after[0] + letter + after[1:]
        case 1:
            word = before + after
        case 2:
            word = before + letter * 2 + after
        case _:
            word = word.translate(_PLAIN)
    return " ".join([*words[:at], word, *words[at + 1 :]])


_PLAIN = str.maketrans("äöüßéèêàçôîáíóúñ", "aouseeeacoiaioun")


def _one(alternatives: str, rng: random.Random) -> str:
    return rng.choice(alternatives.split("|"))


def _fill(phrase: str, facts: Facts, slots: dict[str, str], rng: random.Random) -> str:
    """Fill the slots of `phrase`; `{coloured}` first, since it contains slots."""
    phrase = phrase.replace("{coloured}", _one(GRAMMARS[facts.language].coloured, rng))
    for other in rng.sample(facts.others, len(facts.others)):
        phrase = phrase.replace("{other}", other, 1)
    return phrase.format(detail=rng.choice(facts.details), **slots)


def _entities(text: str) -> str:
    """HTML entities for every character that has a name."""
    escaped = html.escape(text, quote=False)
    return "".join(f"&{html.entities.codepoint2name[ord(c)]};" if ord(c) in _NAMED else c for c in escaped)


_NAMED = {code for code in html.entities.codepoint2name if code > 127}
