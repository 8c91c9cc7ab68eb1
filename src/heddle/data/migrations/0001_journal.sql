-- The journal: facts are only ever appended. `streams` and `leases` are written in the same transaction.
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    stream   TEXT    NOT NULL,
    seq      INTEGER NOT NULL,
    at       REAL    NOT NULL,
    by       TEXT    NOT NULL,
    cause    TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    data     TEXT    NOT NULL,
    UNIQUE (stream, seq)
) STRICT;

CREATE TABLE streams (
    stream TEXT PRIMARY KEY,
    seq    INTEGER NOT NULL,
    first  INTEGER NOT NULL
) STRICT;

CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    owner      TEXT    NOT NULL,
    token      INTEGER NOT NULL,
    expires_at REAL    NOT NULL
) STRICT;
