-- Everything lies in the schema `softkv` of the database; texts are ordered by code point.
-- A checksum is of the row that it stands in (service/softkv_service/storage/checksums.py).
CREATE TABLE softkv.state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    schema_version integer NOT NULL,      -- of these tables (version.py)
    catalogue bigint NOT NULL DEFAULT 0   -- counts what happened to collections, but for their documents
);

-- A collection's row is the lock of who writes its documents.
CREATE TABLE softkv.collections (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    similarity text NOT NULL,
    temperature double precision NOT NULL,
    dimension integer CHECK (dimension > 0),
    value_dimension integer CHECK (value_dimension > 0),
    encoder text,
    precision text,
    value_from text NOT NULL CHECK (value_from IN ('value', 'key')),
    null_key text NOT NULL, -- JSON: "auto", "lenient", "strict", "calibrated", a number or false
    calibration text, -- JSON: what labelled questions said of it
    encoder_model text, -- the model that the encoder's name meant
    expire_after bigint CHECK (expire_after > 0), -- microseconds that new documents live; NULL: for ever
    defaults text, -- JSON: options of questions that do not send their own
    projection text, -- JSON: a map of queries that was trained on labelled pairs
    checksum bigint NOT NULL,
    documents bigint NOT NULL DEFAULT 0, -- how many there are,
    keyless bigint NOT NULL DEFAULT 0,   -- and of these without a key vector
    first_expiry bigint, -- microseconds of Unix time before which no document expires; NULL: none ever does
    version bigint NOT NULL DEFAULT 0,   -- counts the writes
    next_row bigint NOT NULL DEFAULT 1,  -- a row number is never given twice
    late smallint -- 1: the words of each key are kept; NULL: they are not
);

-- The process that works on a collection in the background.
CREATE TABLE softkv.leases (
    collection bigint PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    renewed timestamptz NOT NULL -- when it last said so
);

-- Other names of collections. No collection has the name of an alias.
CREATE TABLE softkv.aliases (
    alias text COLLATE "C" PRIMARY KEY,
    collection bigint NOT NULL REFERENCES softkv.collections ON DELETE CASCADE,
    checksum bigint NOT NULL
);
CREATE INDEX aliases_by_collection ON softkv.aliases (collection);

-- The last job of a collection that moves it to another encoder (service/softkv_service/storage/re_encoding.py).
CREATE TABLE softkv.re_encodings (
    collection bigint PRIMARY KEY REFERENCES softkv.collections ON DELETE CASCADE,
    shadow bigint,      -- the collection that the job fills; NULL: it has ended
    job text NOT NULL   -- JSON
);

-- The document that each document of a shadow was made from.
CREATE TABLE softkv.copied_rows (
    shadow bigint NOT NULL,
    source bigint NOT NULL, -- the row number of the original
    "row" bigint NOT NULL,  -- and of its copy
    PRIMARY KEY (shadow, source)
);

-- What callers said of answers, oldest first.
CREATE TABLE softkv.feedback (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection bigint NOT NULL REFERENCES softkv.collections ON DELETE CASCADE,
    query text NOT NULL,          -- JSON: a text or a vector
    document text COLLATE "C",    -- the id of a document; NULL: the collection has no answer
    correct boolean NOT NULL,     -- whether that is right
    at bigint NOT NULL,           -- microseconds of Unix time
    observed text,                -- JSON: the first match of the question at that time
    checksum bigint NOT NULL
);
CREATE INDEX feedback_by_collection ON softkv.feedback (collection, id);

-- What was measured of encoders behind a URL, so that a start need not measure it again.
CREATE TABLE softkv.encoder_measurements (
    encoder text COLLATE "C" PRIMARY KEY,
    model text NOT NULL,
    measurements text NOT NULL,
    checksum bigint NOT NULL
);

-- The servers of a cluster that hold shards in memory (extensions/cluster/).
CREATE TABLE softkv.cluster_plan (
    number bigint GENERATED ALWAYS AS IDENTITY, -- ascends with every change
    names text[] NOT NULL,                      -- of the servers
    copies integer NOT NULL
);

-- A row is a fact of the versions from `born` on and before `died`; what it says never changes.
CREATE TABLE softkv.documents (
    collection bigint NOT NULL,
    "row" bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    key text COLLATE "C",
    value text NOT NULL,    -- JSON, as text: jsonb refuses \u0000
    metadata text NOT NULL, -- JSON
    keys integer NOT NULL,  -- how many key vectors it has: it takes so many row numbers, and one where it has none
    id_hash bigint NOT NULL,
    checksum bigint NOT NULL,
    folded_id text COLLATE "C",  -- with its case folded as Unicode has it; NULL: that is the same
    folded_key text COLLATE "C",
    born bigint NOT NULL,
    died bigint, -- NULL: it lives
    expires bigint, -- microseconds of Unix time from which on it is absent; NULL: never
    -- A tsvector holds 1 MiB at most, which so many characters never fill.
    words tsvector GENERATED ALWAYS AS (to_tsvector('simple', left(coalesce(key, ''), 200000))) STORED,
    bigrams tsvector, -- the words of a key that full text writes with bigrams (bigrams.py); NULL: those in `words`
    PRIMARY KEY (collection, "row"),
    UNIQUE NULLS NOT DISTINCT (collection, id, died)
);
CREATE INDEX documents_by_key ON softkv.documents USING hash (key); -- a b-tree refuses texts over a third of a page
CREATE INDEX documents_by_words ON softkv.documents USING gin (words);
CREATE INDEX documents_by_bigrams ON softkv.documents USING gin (bigrams) WHERE bigrams IS NOT NULL;
CREATE INDEX documents_by_hash ON softkv.documents (collection, id_hash) WHERE keys > 0;
CREATE INDEX documents_by_expiry ON softkv.documents (collection, expires) WHERE expires IS NOT NULL AND died IS NULL;
CREATE INDEX documents_that_died ON softkv.documents (collection, died) WHERE died IS NOT NULL;

CREATE TABLE softkv.vectors (
    collection bigint NOT NULL,
    "row" bigint NOT NULL,
    document bigint NOT NULL,
    first integer, -- the part of the key text that it was made of, in characters; NULL: all of it
    last integer,
    checksum bigint NOT NULL,
    key_vector bytea,   -- little-endian float32; NULL: the document has no key
    value_vector bytea, -- NULL: the key vector is the value
    waiting smallint,   -- 0: the value is a text that is yet to be encoded; 1: its encoder refuses it; NULL: others
    PRIMARY KEY (collection, "row")
);
-- Floats do not get shorter.
ALTER TABLE softkv.vectors ALTER COLUMN key_vector SET STORAGE EXTERNAL, ALTER COLUMN value_vector SET STORAGE EXTERNAL;
CREATE INDEX vectors_by_document ON softkv.vectors (collection, document);
CREATE INDEX vectors_waiting ON softkv.vectors (collection, document) WHERE waiting IS NOT NULL;

-- The words of keys, for late interaction.
CREATE TABLE softkv.words (
    collection bigint NOT NULL,
    "row" bigint NOT NULL, -- the key's
    words bytea NOT NULL,  -- int8[n, w]
    checksum bigint NOT NULL,
    PRIMARY KEY (collection, "row")
);
ALTER TABLE softkv.words ALTER COLUMN words SET STORAGE EXTERNAL;

-- The metadata once more, a row a scalar (service/softkv_service/storage/fields.py). A text that is a date has one more
-- row, with element 2: its instant.
CREATE TABLE softkv.fields (
    collection bigint NOT NULL,
    field bytea NOT NULL,      -- a digest of its name, which may be long
    element smallint NOT NULL, -- 0: the field itself; 1: an element of the list it holds
    kind smallint NOT NULL,
    number numeric,            -- of a number of any size, or a boolean
    whole boolean,             -- whether it was written as an integer
    text text COLLATE "C",     -- else
    folded text COLLATE "C",   -- NULL: the text itself
    "row" bigint NOT NULL
);
CREATE INDEX fields_by_number ON softkv.fields (collection, field, element, kind, number);
CREATE INDEX fields_by_text ON softkv.fields (collection, field, element, kind, left(text, 200)) WHERE text IS NOT NULL;
CREATE INDEX fields_by_row ON softkv.fields (collection, "row");

CREATE TABLE softkv.names (
    collection bigint NOT NULL,
    field bytea NOT NULL,
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (collection, field)
);

-- The log: what each version did, for the memories that follow.
CREATE TABLE softkv.changes (
    collection bigint NOT NULL,
    version bigint NOT NULL,
    first bigint NOT NULL, -- the rows from here on
    count bigint NOT NULL, -- so many
    removed bigint[] NOT NULL,
    documents bigint NOT NULL, -- of the collection, from then on
    keyless bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (collection, version)
);
CREATE INDEX changes_by_time ON softkv.changes (at);

-- What a write answered, so that the same request sent again is answered the same and not done twice.
CREATE TABLE softkv.answered_writes (
    caller text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    request bytea NOT NULL, -- a digest of the call and its body
    status integer NOT NULL,
    answer bytea NOT NULL, -- its checksum, then its body
    at bigint NOT NULL, -- seconds of Unix time
    PRIMARY KEY (caller, idempotency_key)
);
CREATE INDEX answered_writes_by_time ON softkv.answered_writes (at);
