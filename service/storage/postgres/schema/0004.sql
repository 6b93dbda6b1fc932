-- Schema 4. The servers that are to hold shards in memory, in place of the list of those that did.
DROP TABLE softkv.held;
DROP TABLE softkv.slots;
CREATE TABLE softkv.cluster_plan (
    number bigint GENERATED ALWAYS AS IDENTITY, -- ascends with every change
    names text[] NOT NULL,                      -- of the servers
    copies integer NOT NULL
);
