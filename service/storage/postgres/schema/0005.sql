-- Schema 5. Other names of collections. No collection has the name of an alias.
CREATE TABLE softkv.aliases (
    alias text COLLATE "C" PRIMARY KEY,
    collection bigint NOT NULL REFERENCES softkv.collections ON DELETE CASCADE,
    checksum bigint NOT NULL
);
CREATE INDEX aliases_by_collection ON softkv.aliases (collection);
