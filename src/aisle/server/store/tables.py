"""The tables. Times are UTC milliseconds since 1970; changes are migrations, and a test compares the two."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only what it calls INTEGER

keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("person", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
)

# A picture as feedback keeps it: small, without what cameras write about people and places.
pictures = Table(
    "pictures",
    metadata,
    Column("hash", String(32), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

# What was suggested, what was chosen, by whom, by which model, when.
feedback = Table(
    "feedback",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("person", String(200), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("product_id", String(200), nullable=False, index=True),
    Column("fields", JSON, nullable=False),
    Column("pictures", JSON, nullable=False),  # hashes, in order
    Column("missing_images", JSON, nullable=False, server_default="[]"),  # those given that could not be read
    Column("suggested", JSON, nullable=False),  # [[id, confidence], …], best first
    Column("chosen_id", Text, nullable=False),
    Column("chosen", JSON, nullable=False),  # the path
    Column("how", String(16), nullable=False),
    Column("model", String(200), nullable=False),
    Column("model_id", String(200), nullable=False),
    Column("review_id", _Number, ForeignKey("reviews.id", ondelete="SET NULL"), index=True),
    Column("request_key", String(200)),
    Column("undone", Boolean, nullable=False, default=False),
    UniqueConstraint("person", "request_key"),
)

# Products for people to look at. A lock is a name and an end.
reviews = Table(
    "reviews",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("person", String(200), nullable=False, index=True),  # who handed it in
    Column("product_id", String(200), nullable=False),
    Column("fields", JSON, nullable=False),
    Column("pictures", JSON, nullable=False),
    Column("missing_images", JSON, nullable=False, server_default="[]"),
    Column("prediction", JSON, nullable=False),
    Column("model", String(200), nullable=False),
    Column("worth", Float, nullable=False),
    Column("value", Float, nullable=False),  # what a look at it is expected to gain
    Column("needed", Integer, nullable=False),  # how many people shall look
    Column("decided", Integer, nullable=False, default=0),
    Column("state", String(16), nullable=False),  # open, done, skipped
    Column("locked_by", String(200)),
    Column("locked_until", BigInteger, nullable=False, default=0),
    Index("ix_reviews_queue", "state", "value"),
)

skips = Table(
    "skips",
    metadata,
    Column("review_id", _Number, ForeignKey("reviews.id", ondelete="CASCADE"), primary_key=True),
    Column("person", String(200), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

# What a shadow model would have answered, beside what was answered.
shadows = Table(
    "shadows",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("product_id", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("model_id", String(200), nullable=False),
    Column("best_id", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("live_model_id", String(200), nullable=False),
    Column("live_best_id", Text, nullable=False),
    Column("live_decision", String(16), nullable=False),
    Index("ix_shadows_model_id", "model_id", "live_model_id"),
)

# Which model went live when, by whom, and what was measured first.
promotions = Table(
    "promotions",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("person", String(200), nullable=False),
    Column("what", String(16), nullable=False),  # promoted, refused, rolled back
    Column("model", String(200), nullable=False),
    Column("model_id", String(200), nullable=False),
    Column("before", String(200), nullable=False),
    Column("measured", JSON),
)
