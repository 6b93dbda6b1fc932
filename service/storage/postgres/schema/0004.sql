-- Schema 4. The servers that are to hold shards in memory, in place of the list of those that did.
DROP TABLE held;
DROP TABLE slots;
CREATE TABLE cluster_plan (
    number bigint GENERATED ALWAYS AS IDENTITY, -- ascends with every change
    names text[] NOT NULL,                      -- of the servers
    copies integer NOT NULL
);
