"""The tables. Times are UTC milliseconds since 1970. A change needs a migration, too."""

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
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite autoincrements INTEGER only


def _column(name: str, kind: object, *more: ForeignKey, index: bool = False) -> Column:
    return Column(name, kind, *more, nullable=False, index=index)  # type: ignore[arg-type]


def _id_column() -> Column:
    return Column("id", _Id, primary_key=True, autoincrement=True)


keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    _column("person", String(200)),
    _column("role", String(16)),
    _column("hash", String(64)),
    _column("created", BigInteger),
    Column("revoked", BigInteger),
)

# Thumbnails of images in feedback and in the review queue.
image_table = Table(
    "images",
    metadata,
    Column("hash", String(32), primary_key=True),
    _column("data", LargeBinary),
)

feedback = Table(
    "feedback",
    metadata,
    _id_column(),
    _column("at", BigInteger, index=True),
    _column("person", String(200), index=True),
    _column("role", String(16)),
    _column("product_id", String(200), index=True),
    _column("fields", JSON),
    _column("images", JSON),  # hashes, in order
    _column("missing_images", JSON),
    _column("suggested", JSON),  # [[id, confidence], …], best first
    _column("chosen_id", Text),
    _column("chosen", JSON),  # the path
    _column("how", String(16)),
    _column("model", String(200)),
    _column("model_id", String(200)),
    Column("review_id", _Id, ForeignKey("reviews.id", ondelete="SET NULL"), index=True),
    Column("request_key", String(200)),
    _column("undone", Boolean),
    UniqueConstraint("person", "request_key"),
)

reviews = Table(
    "reviews",
    metadata,
    _id_column(),
    _column("at", BigInteger, index=True),
    _column("person", String(200), index=True),  # who queued it
    _column("product_id", String(200)),
    _column("fields", JSON),
    _column("images", JSON),
    _column("missing_images", JSON),
    _column("prediction", JSON),
    _column("model", String(200)),
    _column("priority", Float),
    _column("expected_gain", Float),  # (1 - confidence) * priority
    _column("title", Text),
    _column("best", Text),  # the path of the prediction
    _column("confidence", Float),  # of that path
    _column("label", Text),  # the category that the product has now, as it was sent
    _column("flagged", Boolean),
    _column("note", Text),
    _column("needed", Integer),  # how many people decide it
    _column("decided", Integer),
    _column("state", String(16)),  # open, done, discarded
    Column("leased_by", String(200)),
    _column("leased_until", BigInteger),
    Index("ix_reviews_queue", "state", "expected_gain"),
)

skips = Table(
    "skips",
    metadata,
    Column("review_id", _Id, ForeignKey("reviews.id", ondelete="CASCADE"), primary_key=True),
    Column("person", String(200), primary_key=True),
    _column("at", BigInteger),
)

discards = Table(
    "discards",
    metadata,
    Column("review_id", _Id, ForeignKey("reviews.id", ondelete="CASCADE"), primary_key=True),
    _column("person", String(200)),
    _column("at", BigInteger),
)

# Predictions of shadow models with those of the live model.
shadows = Table(
    "shadows",
    metadata,
    _id_column(),
    _column("at", BigInteger, index=True),
    _column("product_id", String(200)),
    _column("model", String(200)),
    _column("model_id", String(200)),
    _column("best_id", Text),
    _column("confidence", Float),
    _column("decision", String(16)),
    _column("live_model_id", String(200)),
    _column("live_best_id", Text),
    _column("live_decision", String(16)),
    Index("ix_shadows_model_id", "model_id", "live_model_id"),
)

rule_changes = Table(
    "rule_changes",
    metadata,
    _id_column(),
    _column("at", BigInteger),
    _column("person", String(200)),
    _column("action", String(16)),  # set, rolled back
    Column("version", String(12)),  # null: the rules that the models were saved with
    _column("rules", Integer),
    Column("content", Text),
)

# Uploaded files. Their products and predictions are in the server's folder of files, under the same id.
batches = Table(
    "batches",
    metadata,
    Column("id", String(16), primary_key=True),
    _column("at", BigInteger, index=True),
    _column("person", String(200), index=True),
    _column("name", String(200)),  # of the file, as it was uploaded
    _column("bytes", BigInteger),
    _column("rows", Integer),  # products
    _column("model", String(200)),
    _column("model_id", String(200)),
    _column("state", String(16)),  # ready, queued, running, done, cancelled, failed
    _column("task", String(16)),  # what is queued, runs or ran: classify, review
    _column("done", Integer),  # products of the task
    Column("error", Text),
    _column("summary", JSON),  # what `check` tells of the file
)

promotions = Table(
    "promotions",
    metadata,
    _id_column(),
    _column("at", BigInteger),
    _column("person", String(200)),
    _column("action", String(16)),  # promoted, refused, rolled back
    _column("model", String(200)),
    _column("model_id", String(200)),
    _column("previous", String(200)),
    Column("comparison", JSON),
)
