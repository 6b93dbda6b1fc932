-- Schema 5. The model that the name of a collection's encoder meant.
ALTER TABLE softkv.collections ADD COLUMN encoder_model text;

-- Other names of collections. No collection has the name of an alias.
CREATE TABLE softkv.aliases (
    alias text COLLATE "C" PRIMARY KEY,
    collection bigint NOT NULL REFERENCES softkv.collections ON DELETE CASCADE,
    checksum bigint NOT NULL
);
CREATE INDEX aliases_by_collection ON softkv.aliases (collection);

-- The last job of a collection that moves it to another encoder (service/storage/re_encoding.py).
CREATE TABLE softkv.re_encodings (
    collection bigint PRIMARY KEY REFERENCES softkv.collections ON DELETE CASCADE,
    shadow bigint,      -- the collection that the job fills; NULL: it has ended
    job text NOT NULL,  -- JSON
    owner text COLLATE "C",  -- the process that works on it,
    renewed timestamptz      -- and when it last said so
);

-- The document that each document of a shadow was made from.
CREATE TABLE softkv.copied_rows (
    shadow bigint NOT NULL,
    source bigint NOT NULL, -- the row number of the original
    "row" bigint NOT NULL,  -- and of its copy
    PRIMARY KEY (shadow, source)
);

-- What was measured of encoders behind a URL, so that a start need not measure it again.
CREATE TABLE softkv.encoder_measurements (
    encoder text COLLATE "C" PRIMARY KEY,
    model text NOT NULL,
    measurements text NOT NULL,
    checksum bigint NOT NULL
);
