-- Ids and row numbers are AUTOINCREMENT: what memory holds under a number never becomes something else.
-- A checksum is of the row that it stands in (service/softkv_service/storage/checksums.py), so that damage is not taken
-- for content.
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
    null_key TEXT NOT NULL, -- JSON: "auto", "lenient", "strict", "calibrated", a number or false
    calibration TEXT, -- JSON: what labelled questions said of it
    encoder_model TEXT, -- the model that the encoder's name meant
    expire_after INTEGER CHECK (expire_after > 0), -- microseconds that new documents live; NULL: for ever
    defaults TEXT, -- JSON: options of questions that do not send their own
    projection TEXT, -- JSON: a map of queries that was trained on labelled pairs
    checksum INTEGER NOT NULL,
    documents INTEGER NOT NULL DEFAULT 0, -- how many there are,
    keyless INTEGER NOT NULL DEFAULT 0,   -- and of these without a key vector
    first_expiry INTEGER, -- microseconds of Unix time before which no document expires; NULL: none ever does
    late INTEGER -- 1: the words of each key are kept; NULL: they are not
) STRICT;

-- Other names of collections. No collection has the name of an alias.
CREATE TABLE aliases (
    alias TEXT PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX aliases_by_collection ON aliases (collection);

-- The last job of a collection that moves it to another encoder (service/softkv_service/storage/re_encoding.py).
CREATE TABLE re_encodings (
    collection INTEGER PRIMARY KEY REFERENCES collections (id) ON DELETE CASCADE,
    shadow INTEGER, -- the collection that the job fills; NULL: it has ended
    job TEXT NOT NULL -- JSON
) STRICT;

-- What callers said of answers, oldest first.
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    query TEXT NOT NULL, -- JSON: a text or a vector
    document TEXT, -- the id of a document; NULL: the collection has no answer
    correct INTEGER NOT NULL CHECK (correct IN (0, 1)), -- whether that is right
    at INTEGER NOT NULL, -- microseconds of Unix time
    observed TEXT, -- JSON: the first match of the question at that time
    checksum INTEGER NOT NULL
) STRICT;

CREATE INDEX feedback_by_collection ON feedback (collection, id);

-- The document that each document of a shadow was made from.
CREATE TABLE copied_rows (
    shadow INTEGER NOT NULL,
    source INTEGER NOT NULL, -- the row number of the original
    "row" INTEGER NOT NULL,  -- and of its copy
    PRIMARY KEY (shadow, source)
) STRICT, WITHOUT ROWID;

-- What was measured of encoders behind a URL, so that a start need not measure it again.
CREATE TABLE encoder_measurements (
    encoder TEXT PRIMARY KEY,
    model TEXT NOT NULL,                  -- what it was measured of: another text here means to measure it again
    measurements TEXT NOT NULL,           -- JSON
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    "row" INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    key TEXT,
    value TEXT NOT NULL,   -- JSON
    metadata TEXT NOT NULL, -- JSON
    keys INTEGER NOT NULL, -- how many key vectors it has: it takes so many row numbers, and one where it has none
    id_hash INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    expires INTEGER, -- microseconds of Unix time from which on it is absent; NULL: never
    UNIQUE (collection, id)
) STRICT;

-- With the id, so that one text's documents come in order and without statistics it is preferred.
CREATE INDEX documents_by_key ON documents (collection, key, id);

-- The order in which documents are drawn for a sample, the same wherever they are stored.
CREATE INDEX documents_by_hash ON documents (collection, id_hash) WHERE keys > 0;

-- The order in which documents expire.
CREATE INDEX documents_by_expiry ON documents (collection, expires) WHERE expires IS NOT NULL;

-- Apart from the texts, so that reading one does not page in the other.
CREATE TABLE vectors (
    "row" INTEGER PRIMARY KEY AUTOINCREMENT, -- the document's, then the numbers after it
    document INTEGER NOT NULL REFERENCES documents ("row") ON DELETE CASCADE,
    first INTEGER, -- the part of the key text that it was made of, in characters; NULL: all of it
    last INTEGER,
    checksum INTEGER NOT NULL,
    key_vector BLOB, -- little-endian float32; NULL: the document has no key
    value_vector BLOB, -- NULL: the key vector is the value
    waiting INTEGER -- 0: the value is a text that is yet to be encoded; 1: its encoder refuses it; NULL: it has a vector
) STRICT;

CREATE INDEX vectors_by_document ON vectors (document);

CREATE INDEX vectors_waiting ON vectors (document) WHERE waiting IS NOT NULL;

-- The words of keys, for late interaction, in parts that fill pages (service/softkv_service/storage/sqlite/word_rows.py).
CREATE TABLE words (
    id INTEGER PRIMARY KEY, -- 256 times the row of the key, plus the number of the part
    words BLOB NOT NULL, -- int8[n, w] of the key in bytes, or a part of them
    checksum INTEGER NOT NULL, -- of all parts
    "row" INTEGER GENERATED ALWAYS AS (id >> 8) VIRTUAL
) STRICT;

CREATE TRIGGER delete_words AFTER DELETE ON vectors BEGIN
    DELETE FROM words WHERE id BETWEEN old."row" << 8 AND (old."row" << 8) + 255;
END;

-- The metadata once more, a row a scalar, in the order filters compare by (service/softkv_service/storage/fields.py). A
-- text that is a date has one more row, with element 2: its instant.
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

-- What a write answered, so that the same request sent again is answered the same and not done twice.
CREATE TABLE answered_writes (
    caller TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request BLOB NOT NULL, -- a digest of the call and its body
    status INTEGER NOT NULL,
    answer BLOB NOT NULL, -- its checksum, then its body
    at INTEGER NOT NULL, -- seconds of Unix time
    PRIMARY KEY (caller, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX answered_writes_by_time ON answered_writes (at);

-- One row while a process has the store open: where it is found without one, that process did not close the store.
CREATE TABLE open_stores (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    pid INTEGER NOT NULL
) STRICT;
