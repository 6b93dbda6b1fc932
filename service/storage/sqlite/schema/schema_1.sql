-- Ids and row numbers are AUTOINCREMENT: what memory holds under a number never becomes something else.
CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    similarity TEXT NOT NULL,
    temperature REAL NOT NULL,
    dimension INTEGER CHECK (dimension > 0),
    value_dimension INTEGER CHECK (value_dimension > 0),
    encoder TEXT,
    precision TEXT,
    value_from TEXT NOT NULL CHECK (value_from IN ('value', 'key')),
    null_key TEXT NOT NULL -- JSON: "auto", a number or false
) STRICT;

CREATE TABLE documents (
    "row" INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    key TEXT,
    value TEXT NOT NULL,   -- JSON
    metadata TEXT NOT NULL, -- JSON
    UNIQUE (collection, id)
) STRICT;

-- With the id, so that one text's documents come in order and without statistics it is preferred.
CREATE INDEX documents_by_key ON documents (collection, key, id);

-- Apart from the texts, so that reading one does not page in the other.
CREATE TABLE vectors (
    "row" INTEGER PRIMARY KEY REFERENCES documents ("row") ON DELETE CASCADE,
    key_vector BLOB NOT NULL, -- little-endian float32
    value_vector BLOB         -- NULL: the key vector is the value
) STRICT;

-- The metadata once more, a row a scalar, in the order filters compare by (service/storage/fields.py).
CREATE TABLE fields (
    collection INTEGER NOT NULL,
    field TEXT NOT NULL,
    element INTEGER NOT NULL, -- 0: the field itself; 1: an element of the list it holds
    kind INTEGER NOT NULL,
    value ANY NOT NULL,
    "row" INTEGER NOT NULL REFERENCES documents ("row") ON DELETE CASCADE,
    PRIMARY KEY (collection, field, element, kind, value, "row")
) STRICT, WITHOUT ROWID;

CREATE INDEX fields_by_row ON fields ("row");
